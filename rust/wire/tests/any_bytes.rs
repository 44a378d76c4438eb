//! No bytes may make a reader panic: random ones, and every kind of header in front.
#![allow(missing_docs)]

use wire::{
    array, bits, calendar, float, geometry, hex, hstore, inet, interval, macaddr, numeric, range,
    scalar, system, text, tsquery, tsvector, Malformed,
};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

type Print = fn(&[u8], &mut Vec<u8>) -> Result<(), Malformed>;

const PRINTED: [Print; 20] = [
    bits::bits,
    geometry::circle,
    geometry::line,
    geometry::lseg,
    geometry::path,
    geometry::point,
    geometry::polygon,
    geometry::rectangle,
    hex::hex,
    macaddr::macaddr,
    macaddr::macaddr8,
    scalar::jsonpath,
    system::int2vector,
    system::oidvector,
    system::pg_lsn,
    system::tid,
    system::xid,
    system::xid8,
    tsquery::tsquery,
    tsvector::tsvector,
];

fn read_as_compound(data: &[u8]) {
    if let Ok(array) = array::array(data, 23) {
        let mut elements = array.elements();
        let count = array.lengths().iter().product::<usize>();
        for _ in 0..count {
            if elements.value().is_err() {
                break;
            }
        }
        let _ = elements.end();
    }
    let _ = range::range(data);
    if let Ok((count, mut ranges)) = range::multirange(data) {
        let _ = (0..count).try_for_each(|_| range::bound(&mut ranges).map(|_| ()));
    }
    if let Ok(mut pairs) = hstore::hstore(data) {
        while let Ok(Some(_)) = pairs.next_pair() {}
    }
}

fn read_as_everything(data: &[u8]) {
    for print in PRINTED {
        let _ = print(data, &mut Vec::new());
    }
    read_as_compound(data);
    let _ = scalar::boolean(data);
    let _ = scalar::int2(data);
    let _ = scalar::int4(data);
    let _ = scalar::int8(data);
    let _ = scalar::oid(data);
    let _ = scalar::uuid(data);
    let _ = scalar::jsonb(data);
    let _ = scalar::char(data);
    let _ = float::float4(data);
    let _ = float::float8(data);
    let _ = inet::inet(data);
    if let Ok(numeric::Numeric::Finite(value)) = numeric::numeric(data) {
        let _ = (value.small(), value.medium());
        let _ = value.print();
    }
    if let Ok(value) = interval::interval(data) {
        let _ = (value.span(), value.print(), value.is_infinite());
    }
    if let Ok(days) = calendar::date(data) {
        let _ = calendar::Day::in_python(days.into());
        let _ = calendar::print_date(days);
    }
    if let Ok(micros) = calendar::timestamp(data) {
        let (days, of_day) = calendar::split(micros);
        let _ = (calendar::Day::in_python(days), calendar::Clock::of(of_day));
        let _ = calendar::print_timestamp(micros, Some(-86_399));
    }
    if let Ok(clock) = calendar::time(data) {
        let _ = calendar::print_time(clock, None);
    }
    if let Ok((clock, east)) = calendar::timetz(data) {
        let _ = calendar::print_time(clock, Some(east));
    }
}

fn read_as_text(data: &[u8]) {
    let _ = text::number::boolean(data);
    let _ = text::number::int2(data);
    let _ = text::number::int4(data);
    let _ = text::number::int8(data);
    let _ = text::number::oid(data);
    let _ = text::number::float(data);
    let _ = text::number::numeric(data);
    let _ = text::uuid::uuid(data);
    let _ = text::interval::interval(data).map(|value| (value.span(), value.print()));
    let _ = text::calendar::date(data);
    let _ = text::calendar::time(data);
    let _ = text::calendar::timetz(data);
    let _ = text::calendar::timestamp(data);
    if let Ok(Ok(zoned)) = text::calendar::timestamptz(data) {
        let _ = zoned.utc();
    }
    let _ = text::range::range(data);
    let _ = text::range::multirange(data);
    let mut pairs = text::hstore::Pairs::new(data);
    while let Ok(Some(_)) = pairs.next_pair() {}
    if let Ok(mut items) = text::array::array(data, b',') {
        while items.next_item().is_ok() {}
    }
    if let Ok(value) = text::bytea::bytea(data) {
        let mut out = vec![0; value.length()];
        let _ = value.write(&mut out);
        let _ = value.write(&mut []);
    }
}

#[test]
fn random_bytes() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..50_000 {
        let length = (random.next() % 24) as usize;
        let data: Vec<u8> = (0..length).map(|_| (random.next() >> 32) as u8).collect();
        read_as_everything(&data);
        read_as_text(&data);
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
        read_as_text(&data);
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
        read_as_everything(&data);
        let family = (random.next() % 2) as u8;
        let size = [4, 16][usize::from(family)];
        let mut data = vec![2 + family, (random.next() % 140) as u8, family, size];
        data.extend((0..size).map(|_| (random.next() as u8) * ((random.next() % 2) as u8)));
        read_as_everything(&data);
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
        read_as_everything(&data);
        data.insert(0, (random.next() % 32) as u8);
        read_as_everything(&data);
    }
}
