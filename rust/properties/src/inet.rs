//! `inet` and `cidr`: the standard library reads the text as the same address.

use std::net::IpAddr;
use wire::inet::inet;

pub fn any_bytes(data: &[u8]) {
    let Ok(text) = inet(data) else {
        return;
    };
    let text = str::from_utf8(text.as_bytes()).unwrap();
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask.parse::<u8>().unwrap())),
        None => (text, None),
    };
    let octets = match address.parse().unwrap() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (header, sent) = data.split_at(4);
    let full = usize::from(header[1]) == 8 * sent.len();
    assert_eq!(octets, sent);
    assert_eq!(mask, (header[2] != 0 || !full).then_some(header[1]));
}
