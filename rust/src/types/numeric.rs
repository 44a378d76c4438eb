//! `numeric`.
//!
//! `decimal.Decimal(str)` costs several times what the rest of a typical column does. The
//! C struct behind a Decimal is simple and old, but private: it is filled directly only
//! when Decimals made by Python turn out to be laid out as expected here.

use super::decode::{Decode, Parse};
use super::encode::Encode;
use super::text::unicode;
use super::value::{call, Value};
use crate::fault::Fault;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use std::ptr;
use wire::numeric::{append, numeric, Finite, Numeric as Parsed};
use wire::text::number as text;

static CLASS: PyOnceLock<Class> = PyOnceLock::new();

pub struct Numeric(&'static Class);

struct Class {
    decimal: Py<PyAny>,
    /// Allocates an instance whose fields are uninitialised; `None`: go through `str`.
    allocate: Option<Allocate>,
}

type Allocate = unsafe fn(*mut ffi::PyTypeObject) -> *mut Object;

/// `mpd_t` of libmpdec, in its 64-bit configuration.
#[repr(C)]
struct Mpd {
    flags: u8,
    exponent: isize,
    digits: isize,
    length: isize,
    allocated: isize,
    words: *mut u64,
}

/// `PyDecObject` of CPython's `_decimal.c`.
#[repr(C)]
struct Object {
    base: ffi::PyObject,
    hash: ffi::Py_hash_t,
    number: Mpd,
    words: [u64; INLINE],
}

const INLINE: usize = 4;
/// `MPD_STATIC | MPD_STATIC_DATA`: libmpdec frees neither the struct nor the words.
const STATIC: u8 = 0x30;
const NEGATIVE: u8 = 1;
/// The flags of what is no number: infinity and both kinds of NaN.
const SPECIAL: u8 = 0xE;
/// libmpdec's words hold nineteen decimal digits each.
const RADIX: u128 = 10_u128.pow(19);

impl Numeric {
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        CLASS.get_or_try_init(py, || Class::new(py)).map(Self)
    }
}

impl Decode for Numeric {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        match numeric(data)? {
            Parsed::Finite(value) => self.0.finite(py, value),
            Parsed::NaN => self.0.parse(py, "NaN"),
            Parsed::Infinity => self.0.parse(py, "Infinity"),
            Parsed::NegativeInfinity => self.0.parse(py, "-Infinity"),
        }
    }
}

impl Parse for Numeric {
    #[inline]
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        match (text::numeric(data)?, self.0.allocate) {
            (text::Numeric::Short(value), Some(allocate)) => {
                let (words, negative) = (value.words, value.negative);
                self.0.short(py, allocate, words, negative, value.scale)
            }
            // It is ASCII digits.
            _ => call(py, &self.0.decimal, unicode(py, data)?),
        }
    }
}

impl Encode for Numeric {
    #[inline]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let Some((negative, coefficient, exponent)) = self.0.parts(value) else {
            return Ok(false);
        };
        // PostgreSQL has no zero below zero.
        let sound = coefficient > 0 || !negative;
        Ok(sound && append(negative, coefficient, exponent, out))
    }
}

impl Class {
    /// Sign, digits and exponent of a finite Decimal of at most 38 digits.
    #[inline]
    fn parts(&self, value: &Bound<'_, PyAny>) -> Option<(bool, u128, i32)> {
        self.allocate?;
        if value.get_type_ptr().cast() != self.decimal.as_ptr() {
            return None;
        }
        // SAFETY: the class is laid out like `Object`, as `allocator` has found: an
        // instance's words are initialised up to its length.
        unsafe {
            let object = value.as_ptr().cast::<Object>();
            let number = &raw const (*object).number;
            let (flags, length) = ((*number).flags, (*number).length);
            if flags & SPECIAL != 0 {
                return None;
            }
            let low = u128::from(*(*number).words);
            let coefficient = match length {
                1 => low,
                2 => low + RADIX * u128::from(*(*number).words.add(1)),
                _ => return None,
            };
            let exponent = i32::try_from((*number).exponent).ok()?;
            Some((flags & NEGATIVE != 0, coefficient, exponent))
        }
    }

    fn new(py: Python<'_>) -> PyResult<Self> {
        let decimal = py.import("decimal")?.getattr("Decimal")?;
        let allocate = allocator(&decimal)?;
        let decimal = decimal.unbind();
        Ok(Self { decimal, allocate })
    }

    #[inline]
    fn finite(&self, py: Python<'_>, value: Finite<'_>) -> Result<Value, Fault> {
        let Some(allocate) = self.allocate else {
            return self.parse(py, &value.print());
        };
        let words = match value.small() {
            Some(word) => [word, 0],
            None => match value.medium() {
                Some(number) => split(number),
                None => return self.parse(py, &value.print()),
            },
        };
        self.short(py, allocate, words, value.negative, value.scale)
    }

    /// A Decimal of at most 38 digits.
    #[inline]
    fn short(
        &self,
        py: Python<'_>,
        allocate: Allocate,
        words: [u64; 2],
        negative: bool,
        scale: u16,
    ) -> Result<Value, Fault> {
        // SAFETY: `allocator` has found the class to be laid out like `Object`.
        unsafe {
            let object = allocate(self.decimal.as_ptr().cast());
            fill(object, words, negative, scale).ok_or_else(|| Fault::pending(py))
        }
    }

    /// `Decimal(text)`, which is exact whatever the context says.
    fn parse(&self, py: Python<'_>, text: &str) -> Result<Value, Fault> {
        call(py, &self.decimal, unicode(py, text.as_bytes())?)
    }
}

/// Two words of libmpdec, the lower first.
#[allow(clippy::cast_possible_truncation)]
fn split(number: u128) -> [u64; 2] {
    [(number % RADIX) as u64, (number / RADIX) as u64]
}

#[inline]
fn decimal_digits(word: u64) -> isize {
    word.checked_ilog10().map_or(1, |log| log as isize + 1)
}

/// Write all fields of a new Decimal; `None` for NULL.
///
/// # Safety
/// `object` is NULL or new, and laid out like [`Object`].
#[inline]
unsafe fn fill(object: *mut Object, words: [u64; 2], negative: bool, scale: u16) -> Option<Value> {
    let value = ptr::NonNull::new(object)?;
    let (length, digits) = match words {
        [low, 0] => (1, decimal_digits(low)),
        [_, high] => (2, 19 + decimal_digits(high)),
    };
    // SAFETY: the caller's; the fields are written through raw pointers, none is read.
    unsafe {
        let inline = (&raw mut (*object).words).cast::<u64>();
        (&raw mut (*object).hash).write(-1);
        (&raw mut (*object).number).write(Mpd {
            flags: if negative { STATIC | NEGATIVE } else { STATIC },
            exponent: -isize::from(scale as i16),
            digits,
            length,
            allocated: INLINE as isize,
            words: inline,
        });
        inline.write(words[0]);
        inline.add(1).write(words[1]);
    }
    Some(value.cast())
}

/// How to allocate a Decimal that may be filled directly, if this one may.
fn allocator(decimal: &Bound<'_, PyAny>) -> PyResult<Option<Allocate>> {
    let class = decimal.cast::<PyType>()?.as_type_ptr();
    // SAFETY: the class is alive.
    let (size, collected) = unsafe { ((*class).tp_basicsize, ffi::PyType_IS_GC(class) != 0) };
    if cfg!(not(target_pointer_width = "64")) || size != size_of::<Object>().cast_signed() {
        return Ok(None);
    }
    for (text, words, negative, scale) in [
        ("0", [0, 0], false, 0),
        ("0.00", [0, 0], false, 2),
        ("-1234567.89", [123_456_789, 0], true, 2),
        ("9999999999999999999", [9_999_999_999_999_999_999, 0], false, 0),
        ("-1.0000000000000000000000", [0, 1000], true, 22),
    ] {
        let known = decimal.call1((text,))?;
        // SAFETY: an instance of the class, whose size is that of `Object`.
        if !unsafe { is_laid_out(known.as_ptr().cast(), words, negative, scale) } {
            return Ok(None);
        }
    }
    // A Decimal refers to its class only, so that the collector need not know it:
    // `PyObject_GC_New` does not track.
    Ok(Some(if collected { ffi::PyObject_GC_New::<Object> } else { ffi::PyObject_New::<Object> }))
}

/// Whether a Decimal made by Python has the fields that [`fill`] would write.
///
/// # Safety
/// `object` is alive and at least as large as [`Object`].
unsafe fn is_laid_out(object: *mut Object, words: [u64; 2], negative: bool, scale: u16) -> bool {
    let mut copy = std::mem::MaybeUninit::<Object>::uninit();
    // SAFETY: the copy is written before it is read, and neither drops anything; `known`
    // is large enough, and all its bytes may be read as integers.
    let (known, ours) = unsafe {
        fill(copy.as_mut_ptr(), words, negative, scale);
        (&*object, copy.assume_init_ref())
    };
    let (a, b) = (&known.number, &ours.number);
    known.hash == ours.hash
        && (a.flags, a.exponent, a.digits) == (b.flags, b.exponent, b.digits)
        && (a.length, a.allocated) == (b.length, b.allocated)
        && ptr::eq(a.words, (&raw const known.words).cast())
        && known.words[0] == words[0]
        && (a.length == 1 || known.words[1] == words[1])
}
