//! `inet` and `cidr`, printed as PostgreSQL prints them.

use crate::reader::{Malformed, Reader};

/// The family of IPv4 addresses.
pub const IPV4: u8 = 2;
/// The family of IPv6 addresses.
pub const IPV6: u8 = 3;

/// The longest text: eight groups of four, colons, a mask of three digits.
pub const LONGEST: usize = 48;

/// Text on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Text {
    fn new() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }

    /// The ASCII characters.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn decimal(&mut self, number: u8) {
        if number >= 100 {
            self.push(b'0' + number / 100);
        }
        if number >= 10 {
            self.push(b'0' + number / 10 % 10);
        }
        self.push(b'0' + number % 10);
    }

    fn hexadecimal(&mut self, number: u16) {
        let digits = (number.checked_ilog2().unwrap_or(0)) / 4;
        for place in (0..=digits).rev() {
            let nibble = (number >> (4 * place) & 0xF) as u8;
            self.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
        }
    }
}

/// `inet` and `cidr`: family, mask, a flag that says which of the two, the address. An
/// `inet` shows its mask when it is not a single host, a `cidr` always.
///
/// # Errors
/// [`Malformed`] for an unknown family, a mask wider than the address, or a length that
/// does not match the family.
pub fn inet(data: &[u8]) -> Result<Text, Malformed> {
    let mut reader = Reader::new(data);
    let family = reader.u8()?;
    let mask = reader.u8()?;
    let is_cidr = reader.u8()? != 0;
    let length = reader.u8()?;
    let size: u8 = match family {
        IPV4 => 4,
        IPV6 => 16,
        _ => {
            return Err(Malformed::Field {
                name: "address family",
                expected: "2 or 3",
                got: family.into(),
            })
        }
    };
    if length != size {
        return Err(Malformed::Field {
            name: "address length",
            expected: if family == IPV4 { "4" } else { "16" },
            got: length.into(),
        });
    }
    if mask > 8 * size {
        return Err(Malformed::Field {
            name: "network mask",
            expected: if family == IPV4 { "up to 32" } else { "up to 128" },
            got: mask.into(),
        });
    }
    let address = reader.last(size.into())?;
    let mut text = Text::new();
    if family == IPV4 {
        dotted(&mut text, address);
    } else {
        groups(&mut text, address);
    }
    if is_cidr || mask != 8 * size {
        text.push(b'/');
        text.decimal(mask);
    }
    Ok(text)
}

fn dotted(text: &mut Text, address: &[u8]) {
    for (index, byte) in address.iter().enumerate() {
        if index > 0 {
            text.push(b'.');
        }
        text.decimal(*byte);
    }
}

fn groups(text: &mut Text, address: &[u8]) {
    let mut words = [0_u16; 8];
    for (word, bytes) in words.iter_mut().zip(address.as_chunks::<2>().0) {
        *word = u16::from_be_bytes(*bytes);
    }
    let zeros = longest_zeros(&words);
    // ::1.2.3.4 and ::ffff:1.2.3.4 keep the dots of the IPv4 address they embed.
    let embeds_ipv4 = zeros == (0..6) || (zeros == (0..5) && words[5] == 0xFFFF);
    for (index, word) in words.iter().enumerate() {
        if zeros.contains(&index) {
            if index == zeros.start {
                text.push(b':');
            }
            continue;
        }
        if index > 0 {
            text.push(b':');
        }
        if index == 6 && embeds_ipv4 {
            dotted(text, address.get(12..).unwrap_or_default());
            return;
        }
        text.hexadecimal(*word);
    }
    if zeros.end == 8 {
        text.push(b':');
    }
}

/// The first of the longest runs of two or more zero groups, else an empty range.
fn longest_zeros(words: &[u16; 8]) -> std::ops::Range<usize> {
    let mut best = 0..0;
    let mut start = 0;
    for (index, word) in words.iter().enumerate() {
        if *word != 0 {
            start = index + 1;
        } else if index + 1 - start > best.len().max(1) {
            best = start..index + 1;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn v6(address: &str, mask: u8, is_cidr: bool) -> String {
        let octets = address.parse::<Ipv6Addr>().unwrap().octets();
        let mut data = vec![IPV6, mask, is_cidr.into(), 16];
        data.extend(octets);
        String::from_utf8(inet(&data).unwrap().as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn ipv6_is_compressed_like_inet_out() {
        for text in [
            "::",
            "::1",
            "1::",
            "2001:db8::ff00:42:8329",
            "::ffff:1.2.3.4",
            "::1.2.3.4",
            "1:0:2:3:4:5:6:7",
            "1:0:0:2::3",
            "1::2:0:0:3:4",
            "0:1::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert_eq!(v6(text, 128, false), text);
        }
        assert_eq!(v6("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128, true).len(), 43);
        assert_eq!(v6("::", 0, false), "::/0");
        assert_eq!(v6("2001:db8::", 32, true), "2001:db8::/32");
    }

    #[test]
    fn ipv4_shows_a_mask_when_it_says_something() {
        let text = |data: &[u8]| String::from_utf8(inet(data).unwrap().as_bytes().to_vec());
        assert_eq!(text(&[2, 32, 0, 4, 10, 0, 0, 255]).unwrap(), "10.0.0.255");
        assert_eq!(text(&[2, 32, 1, 4, 10, 0, 0, 1]).unwrap(), "10.0.0.1/32");
        assert_eq!(text(&[2, 0, 0, 4, 0, 0, 0, 0]).unwrap(), "0.0.0.0/0");
    }

    #[test]
    fn nonsense_is_refused() {
        for data in [
            &[][..],
            &[2, 32, 0],
            &[2, 33, 0, 4, 1, 2, 3, 4],
            &[2, 32, 0, 4, 1, 2, 3],
            &[2, 32, 0, 16, 1, 2, 3, 4],
            &[9, 32, 0, 4, 1, 2, 3, 4],
        ] {
            assert!(inet(data).is_err());
        }
    }
}
