//! `text`, `varchar`, `bpchar`, `name`, `unknown`, and `"char"`.

use super::decode::{Decode, Parse};
use super::encode::Encode;
use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use wire::scalar;

/// Both formats are the text itself.
pub struct Text;
pub struct Char;

impl Decode for Text {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        unicode(py, data)
    }
}

impl Decode for Char {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        match scalar::char(data)? {
            scalar::Char::Empty => unicode(py, b""),
            scalar::Char::Ascii(byte) => unicode(py, &[byte]),
            scalar::Char::Octal(digits) => unicode(py, &digits),
        }
    }
}

impl Parse for Char {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        unicode(py, data)
    }
}

/// A `str` of UTF-8 (Django sets `client_encoding` to it); raises UnicodeDecodeError.
#[inline]
pub fn unicode(py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
    // Shorter ones are CPython's shared strings: leave these to its own decoder.
    if data.len() > 1 && data.is_ascii() {
        return ascii(py, data);
    }
    let length = data.len().cast_signed();
    // SAFETY: a slice is never longer than isize::MAX; a NULL `errors` means strict.
    unsafe {
        let text = ffi::PyUnicode_DecodeUTF8(data.as_ptr().cast(), length, std::ptr::null());
        owned(py, text)
    }
}

/// A `str` of two or more ASCII characters.
#[inline]
pub fn ascii(py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
    debug_assert!(data.len() > 1 && data.is_ascii());
    // SAFETY: a new ASCII string's characters follow its header (PEP 393), there is room
    // for all of them and the final NUL is already there.
    unsafe {
        let text = owned(py, ffi::PyUnicode_New(data.len().cast_signed(), 127))?;
        let characters = text.as_ptr().cast::<ffi::PyASCIIObject>().add(1);
        characters.cast::<u8>().copy_from_nonoverlapping(data.as_ptr(), data.len());
        Ok(text)
    }
}

impl Encode for Text {
    #[inline]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let Ok(value) = value.cast_exact::<PyString>() else {
            return Ok(false);
        };
        if let Some(characters) = bytes_of_latin_1(value) {
            if characters.is_ascii() {
                return Ok(without_nul(characters, out));
            }
        }
        // Its own UTF-8 stays with a str that was asked for it: half as much again.
        // SAFETY: returns a new reference to bytes, or NULL.
        let utf8 = unsafe {
            let utf8 = ffi::PyUnicode_AsUTF8String(value.as_ptr());
            Bound::from_owned_ptr_or_err(value.py(), utf8)?
        };
        Ok(without_nul(utf8.cast::<PyBytes>()?.as_bytes(), out))
    }
}

/// Return the characters of a string that has a byte for each, else None.
#[inline]
fn bytes_of_latin_1<'a>(value: &'a Bound<'_, PyString>) -> Option<&'a [u8]> {
    let string = value.as_ptr();
    // SAFETY: the string is alive; its kind says how wide its characters are, and it cannot
    // change while it is borrowed.
    unsafe {
        if ffi::PyUnicode_KIND(string) != ffi::PyUnicode_1BYTE_KIND {
            return None;
        }
        let length = ffi::PyUnicode_GET_LENGTH(string).cast_unsigned();
        Some(std::slice::from_raw_parts(ffi::PyUnicode_DATA(string).cast(), length))
    }
}

/// Append the text, which PostgreSQL cannot store with a NUL in it.
#[inline]
fn without_nul(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(text);
    !text.contains(&0)
}
