//! `uuid`, digit by digit.

use wire::text::uuid::uuid;

pub fn any_bytes(data: &[u8]) {
    let Ok(bytes) = uuid(data) else {
        return;
    };
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    let text = groups.map(|group| &digits[group]).join("-");
    assert_eq!(text.as_bytes(), data.to_ascii_lowercase());
}
