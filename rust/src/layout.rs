//! Where libpq keeps a result's values.
//!
//! Each value costs two calls into libpq, a tenth of decoding a row. The struct behind
//! `PGresult` has begun with the same fields since it exists, but it is private: it is read
//! directly only when a result made for the purpose turns out to be laid out like this.

use std::ffi::{c_char, c_int, c_uint, c_void, CStr};
use std::ptr;

/// A `PGresult`, which only libpq makes.
pub type RawResult = *const c_void;

/// The beginning of libpq's `struct pg_result`.
#[repr(C)]
struct Head {
    rows: c_int,
    columns: c_int,
    descriptions: *const c_void,
    tuples: *const *const AttValue,
}

/// `PGresAttValue`: a negative length is NULL.
#[repr(C)]
pub struct AttValue {
    length: c_int,
    start: *const u8,
}

impl AttValue {
    /// The bytes, or `None` for NULL.
    ///
    /// # Safety
    /// The result that this lies in is alive for `'a`.
    #[inline]
    pub unsafe fn bytes<'a>(&self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.length).ok()?;
        // SAFETY: libpq has stored that many bytes there.
        Some(unsafe { std::slice::from_raw_parts(self.start, length) })
    }
}

/// The first `columns` values of a row; `None` if the result has not that many.
///
/// # Safety
/// `result` is live and laid out like [`Head`].
#[inline]
pub unsafe fn values<'a>(result: RawResult, row: c_int, columns: usize) -> Option<&'a [AttValue]> {
    // SAFETY: the caller's word; row and column are compared with what the result has.
    unsafe {
        let head = &*result.cast::<Head>();
        let enough = usize::try_from(head.columns).is_ok_and(|found| columns <= found);
        if !enough || row >= head.rows {
            return None;
        }
        let tuple = *head.tuples.add(usize::try_from(row).ok()?);
        Some(std::slice::from_raw_parts(tuple, columns))
    }
}

/// `PGresAttDesc`, public in libpq-fe.h.
#[repr(C)]
pub struct Description {
    name: *const c_char,
    table: c_uint,
    column: c_int,
    format: c_int,
    oid: c_uint,
    size: c_int,
    modifier: c_int,
}

/// The public functions that make a result without a server.
pub struct Make {
    pub empty: unsafe extern "C" fn(*const c_void, c_int) -> *mut c_void,
    pub set_columns: unsafe extern "C" fn(*mut c_void, c_int, *const Description) -> c_int,
    pub set_value: unsafe extern "C" fn(*mut c_void, c_int, c_int, *const c_char, c_int) -> c_int,
    pub get_value: unsafe extern "C" fn(RawResult, c_int, c_int) -> *mut c_char,
    pub clear: unsafe extern "C" fn(*mut c_void),
}

const TUPLES_OK: c_int = 2;
const ROWS: c_int = 5;
/// Of these widths, the third NULL.
const SAMPLE: [Option<&CStr>; 3] = [Some(c"four"), Some(c""), None];

impl Make {
    /// Whether a result of known values is laid out like [`Head`].
    pub fn is_laid_out_as_known(&self) -> bool {
        // SAFETY: no connection is needed for a result that is filled by hand.
        let result = unsafe { (self.empty)(ptr::null(), TUPLES_OK) };
        if result.is_null() {
            return false;
        }
        let known = self.fill(result) && self.is_known(result);
        // SAFETY: it is ours, and nothing of it is kept.
        unsafe { (self.clear)(result) };
        known
    }

    fn fill(&self, result: *mut c_void) -> bool {
        let column = || Description {
            name: c"column".as_ptr(),
            table: 0,
            column: 0,
            format: 1,
            oid: 17,
            size: -1,
            modifier: -1,
        };
        let columns = [column(), column(), column()];
        // SAFETY: libpq copies the descriptions and the values.
        unsafe {
            (self.set_columns)(result, 3, columns.as_ptr()) != 0
                && (0..ROWS).all(|row| {
                    (0..).zip(SAMPLE).all(|(column, value)| {
                        let start = value.map_or(ptr::null(), CStr::as_ptr);
                        let length = value.map_or(-1, |value| length(value.count_bytes()));
                        (self.set_value)(result, row, column, start, length) != 0
                    })
                })
        }
    }

    fn is_known(&self, result: *const c_void) -> bool {
        // SAFETY: every version's struct is larger than the two numbers and two pointers;
        // the pointers are followed only when the numbers are as expected.
        unsafe {
            let head = &*result.cast::<Head>();
            if (head.rows, head.columns) != (ROWS, 3) || head.tuples.is_null() {
                return false;
            }
            (0..ROWS).all(|row| {
                values(result, row, 3).is_some_and(|found| {
                    (0..).zip(found.iter().zip(SAMPLE)).all(|(column, (found, sample))| {
                        let start = (self.get_value)(result, row, column);
                        found.bytes() == sample.map(CStr::to_bytes)
                            && (sample.is_none() || ptr::eq(found.start, start.cast()))
                    })
                })
            })
        }
    }
}

fn length(bytes: usize) -> c_int {
    c_int::try_from(bytes).unwrap_or(c_int::MAX)
}
