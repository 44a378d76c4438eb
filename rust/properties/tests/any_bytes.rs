//! Every property of random bytes, of every kind of header in front, and of text that is
//! nearly as it is printed.
#![allow(missing_docs)]

use properties::{property, PROPERTIES};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn all_hold(data: &[u8]) {
    for (_, property) in PROPERTIES {
        property(data);
    }
    let container = property("container");
    for kind in 0..4 {
        container(&[&[kind], data].concat());
    }
}

#[test]
fn random_bytes() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..50_000 {
        let length = (random.next() % 24) as usize;
        let data: Vec<u8> = (0..length).map(|_| (random.next() >> 32) as u8).collect();
        all_hold(&data);
    }
}

/// Values as they are printed, of which a few bytes change.
#[test]
fn nearly_printed() {
    let printed: [&[u8]; 12] = [
        b"-9223372036854775808",
        b"-12345678901234567890.123456789012345678",
        b"0001-02-29 23:59:59.999999-15:59:59 BC",
        b"9999-12-31 23:59:59+00",
        b"-178956970 years -8 mons -2147483648 days -2562047788:00:54.775808",
        b"12345678-1234-4678-9234-567812345678",
        b"a\\134\\\\b\\377",
        b"\\x00ff5c27",
        b"[0:1]={{1,NULL},{\"a\\\"b\",\"\"}}",
        b"[1,\"a \"\"b\\\\\")",
        b"{[1,2),(3,)}",
        b"\"a\"=>\"1\", \"b\\\"\"=>NULL",
    ];
    let likely = b"0123456789-+:. \\xBCinfty{}[]()\",=>";
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for _ in 0..50_000 {
        let mut data = printed[random.next() as usize % printed.len()].to_vec();
        for _ in 0..random.next() % 4 {
            let place = (random.next() as usize) % data.len();
            data[place] = likely[(random.next() as usize) % likely.len()];
        }
        data.truncate((random.next() as usize) % 80);
        all_hold(&data);
    }
}

#[test]
fn plausible_headers() {
    let mut random = Random(0xD1B5_4A32_D192_ED03);
    for _ in 0..50_000 {
        let count = (random.next() % 12) as u16;
        let mut data = count.to_be_bytes().to_vec();
        data.extend((random.next() as i16 >> (random.next() % 16)).to_be_bytes());
        data.extend([(random.next() % 2 * 0x40) as u8, 0]);
        data.extend(((random.next() as u16) >> (2 + random.next() % 14)).to_be_bytes());
        data.extend((0..count).flat_map(|_| ((random.next() % 10_001) as u16).to_be_bytes()));
        all_hold(&data);
        let family = (random.next() % 2) as u8;
        let size = [4, 16][usize::from(family)];
        let mut data = vec![2 + family, (random.next() % 140) as u8, family, size];
        data.extend((0..size).map(|_| (random.next() as u8) * ((random.next() % 2) as u8)));
        all_hold(&data);
    }
}

/// Counts, lengths and OIDs that come in four bytes, and a tail of anything.
#[test]
fn plausible_counts() {
    let mut random = Random(0xA076_1D64_78BD_642F);
    let numbers = [0, 0, 1, 1, 2, 3, 4, 8, 21, 23, 26, -1, -2, i32::MAX];
    for _ in 0..50_000 {
        let mut data = Vec::new();
        for _ in 0..random.next() % 8 {
            let number = numbers[(random.next() % 14) as usize];
            data.extend(number.to_be_bytes());
        }
        data.extend((0..random.next() % 12).map(|_| (random.next() % 5) as u8));
        all_hold(&data);
        data.insert(0, (random.next() % 32) as u8);
        all_hold(&data);
    }
}
