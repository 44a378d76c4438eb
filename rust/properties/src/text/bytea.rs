//! `bytea` in both of its forms.

use wire::text::bytea::bytea;

pub fn any_bytes(data: &[u8]) {
    let Some(bytes) = read(data) else {
        return;
    };
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if let Some(digits) = data.strip_prefix(b"\\x") {
        assert_eq!(digits.to_ascii_lowercase(), hexadecimal.as_bytes());
    }
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
    assert_eq!(read(escaped.as_bytes()).as_ref(), Some(&bytes));
    assert_eq!(read(format!("\\x{hexadecimal}").as_bytes()), Some(bytes));
}

fn read(data: &[u8]) -> Option<Vec<u8>> {
    let value = bytea(data).ok()?;
    let mut out = vec![0xAA; value.length() + 1];
    let written = value.write(&mut out);
    assert_eq!(out.pop(), Some(0xAA), "a byte behind the value was written");
    assert_eq!(value.write(&mut []).is_ok(), out.is_empty() && written.is_ok());
    written.ok().map(|()| out)
}
