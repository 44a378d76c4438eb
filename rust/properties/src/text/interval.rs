//! `interval`: printed and read again, it is the same.

use wire::text::interval::interval;

pub fn any_bytes(data: &[u8]) {
    let Ok(value) = interval(data) else {
        return;
    };
    let _ = value.span();
    if !value.is_infinite() {
        assert_eq!(interval(value.print().as_bytes()), Ok(value));
    }
}
