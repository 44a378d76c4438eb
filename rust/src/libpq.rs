//! The functions of the libpq that the process has already loaded.
//!
//! Nothing is linked: a result must be read by the same libpq that made it, and which one
//! that is (psycopg's bundled one, the system's) is known only at run time. Values are read
//! straight from the result's memory where `layout.rs` has found it to be as expected.

use crate::layout::{self, AttValue, RawResult};
use pyo3::exceptions::{PyIndexError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::ffi::{c_char, c_int, c_uint};
use std::sync::OnceLock;

static LIBPQ: OnceLock<Libpq> = OnceLock::new();

/// The functions that read a result.
#[derive(Clone, Copy)]
pub struct Libpq {
    /// Results are laid out as `layout.rs` knows them.
    direct: bool,
    ntuples: unsafe extern "C" fn(RawResult) -> c_int,
    nfields: unsafe extern "C" fn(RawResult) -> c_int,
    ftype: unsafe extern "C" fn(RawResult, c_int) -> c_uint,
    fformat: unsafe extern "C" fn(RawResult, c_int) -> c_int,
    getvalue: unsafe extern "C" fn(RawResult, c_int, c_int) -> *mut c_char,
    getlength: unsafe extern "C" fn(RawResult, c_int, c_int) -> c_int,
    getisnull: unsafe extern "C" fn(RawResult, c_int, c_int) -> c_int,
}

impl Libpq {
    /// The one that `load_libpq` found.
    pub fn loaded() -> PyResult<&'static Self> {
        LIBPQ.get().ok_or_else(|| {
            PyRuntimeError::new_err("no libpq yet: call load_libpq(path) of the loaded one first")
        })
    }

    /// A row's values where they lie, if that is known and the result has them.
    ///
    /// # Safety
    /// `result` is a live result.
    #[inline]
    pub unsafe fn values<'a>(
        &self,
        result: RawResult,
        row: c_int,
        columns: usize,
    ) -> Option<&'a [AttValue]> {
        if !self.direct {
            return None;
        }
        // SAFETY: the caller vouches for the result, `layout::is_known` for its layout.
        unsafe { layout::values(result, row, columns) }
    }

    /// The bytes of one value, or `None` for NULL.
    ///
    /// # Safety
    /// `result` is a live result; the bytes live as long as it does. A row or column that
    /// it does not have reads as NULL.
    #[inline]
    pub unsafe fn value<'a>(
        &self,
        result: RawResult,
        row: c_int,
        column: c_int,
    ) -> Option<&'a [u8]> {
        // SAFETY: the caller vouches for the result, libpq checks row and column.
        unsafe {
            let length = (self.getlength)(result, row, column);
            // Only an empty value can be a NULL: saves a call per value.
            if length <= 0 && (self.getisnull)(result, row, column) != 0 {
                return None;
            }
            let start = (self.getvalue)(result, row, column);
            if start.is_null() {
                return None;
            }
            let length = usize::try_from(length).unwrap_or(0);
            Some(std::slice::from_raw_parts(start.cast(), length))
        }
    }
}

/// A result that a Python caller vouches for.
#[derive(Clone, Copy)]
pub struct PgResult {
    libpq: &'static Libpq,
    raw: RawResult,
}

impl PgResult {
    pub fn at(pgresult_ptr: usize) -> PyResult<Self> {
        if pgresult_ptr == 0 {
            return Err(PyValueError::new_err("pgresult_ptr is 0: the result was cleared"));
        }
        Ok(Self { libpq: Libpq::loaded()?, raw: pgresult_ptr as RawResult })
    }

    pub fn raw(self) -> RawResult {
        self.raw
    }

    pub fn rows(self) -> c_int {
        // SAFETY: `at` took the caller's word that the pointer is a live PGresult; this
        // holds for the other readers below too.
        unsafe { (self.libpq.ntuples)(self.raw) }
    }

    pub fn columns(self) -> c_int {
        // SAFETY: as in `rows`.
        unsafe { (self.libpq.nfields)(self.raw) }
    }

    pub fn oid(self, column: c_int) -> u32 {
        // SAFETY: as in `rows`; libpq checks the column.
        unsafe { (self.libpq.ftype)(self.raw, column) }
    }

    pub fn format(self, column: c_int) -> c_int {
        // SAFETY: as in `oid`.
        unsafe { (self.libpq.fformat)(self.raw, column) }
    }

    pub fn checked_row(self, row: c_int) -> PyResult<c_int> {
        let rows = self.rows();
        if (0..rows).contains(&row) {
            return Ok(row);
        }
        Err(PyIndexError::new_err(format!("row {row} of a result of {rows} rows")))
    }
}

/// The number of rows of a result.
#[pyfunction]
pub fn rows(pgresult_ptr: usize) -> PyResult<c_int> {
    Ok(PgResult::at(pgresult_ptr)?.rows())
}

/// The number of rows, the columns' type OIDs and their formats (0 text, 1 binary).
#[pyfunction]
pub fn shape<'py>(
    py: Python<'py>,
    pgresult_ptr: usize,
) -> PyResult<(c_int, Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let result = PgResult::at(pgresult_ptr)?;
    let columns = 0..result.columns();
    let oids: Vec<u32> = columns.clone().map(|column| result.oid(column)).collect();
    let formats: Vec<c_int> = columns.map(|column| result.format(column)).collect();
    let oids = pyo3::types::PyTuple::new(py, oids)?.into_any();
    let formats = pyo3::types::PyTuple::new(py, formats)?.into_any();
    Ok((result.rows(), oids, formats))
}

/// Find libpq's functions in (or behind) a shared object that the process has loaded.
///
/// `path` is libpq itself or anything linked to it, such as psycopg's compiled `pq`
/// module. Calling it again is harmless; another libpq than the first is refused.
#[pyfunction]
pub fn load_libpq(path: &str) -> PyResult<()> {
    let found = resolve(path)?;
    let bound = LIBPQ.get_or_init(|| found);
    if std::ptr::fn_addr_eq(bound.getvalue, found.getvalue) {
        return Ok(());
    }
    Err(PyOSError::new_err(format!("{path} leads to another libpq than the one in use")))
}

#[cfg(unix)]
fn resolve(path: &str) -> PyResult<Libpq> {
    let name = std::ffi::CString::new(path)
        .map_err(|_| PyOSError::new_err(format!("not a path: {path:?}")))?;
    // SAFETY: RTLD_NOLOAD runs no code of the object: it only finds a loaded one. The
    // handle is never closed, so the functions stay where they are.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY) };
    if handle.is_null() {
        return Err(PyOSError::new_err(format!(
            "{path} is not loaded in this process: import psycopg's implementation first"
        )));
    }
    macro_rules! function {
        ($symbol:literal) => {{
            // SAFETY: the handle is open and the name ends with NUL.
            let address = unsafe { libc::dlsym(handle, $symbol.as_ptr()) };
            if address.is_null() {
                let symbol = $symbol.to_string_lossy();
                return Err(PyOSError::new_err(format!("no {symbol} in {path}")));
            }
            // SAFETY: not null, and libpq's documented signatures have been stable since
            // it has them; the target type is the field's, declared above.
            unsafe { std::mem::transmute(address) }
        }};
    }
    #[allow(clippy::missing_transmute_annotations)]
    let found = Libpq {
        direct: false,
        ntuples: function!(c"PQntuples"),
        nfields: function!(c"PQnfields"),
        ftype: function!(c"PQftype"),
        fformat: function!(c"PQfformat"),
        getvalue: function!(c"PQgetvalue"),
        getlength: function!(c"PQgetlength"),
        getisnull: function!(c"PQgetisnull"),
    };
    #[allow(clippy::missing_transmute_annotations)]
    let make = layout::Make {
        empty: function!(c"PQmakeEmptyPGresult"),
        set_columns: function!(c"PQsetResultAttrs"),
        set_value: function!(c"PQsetvalue"),
        get_value: function!(c"PQgetvalue"),
        clear: function!(c"PQclear"),
    };
    Ok(Libpq { direct: make.is_laid_out_as_known(), ..found })
}

#[cfg(not(unix))]
fn resolve(path: &str) -> PyResult<Libpq> {
    Err(PyOSError::new_err(format!(
        "cannot look for libpq in {path}: not supported on this platform"
    )))
}
