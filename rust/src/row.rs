//! A result's row as Python values: decoders chosen once per query, one C function that
//! `native/` calls per row (`native/row_decoder.h` is the contract).
//!
//! In: libpq's result, the types of its columns and the session's settings.
//! Out: a C function that decodes one row into an array of references.
//! Next: `native/model_plan.pxi`.

use crate::fault::panicked;
use crate::layout::RawResult;
use crate::libpq::{Libpq, PgResult};
use crate::types::{decoder, none, Decode, Format, Kinds, Loader, Session, Value};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyMapping, PyTuple, PyTzInfo};
use pyo3::{PyTraverseError, PyVisit};
use std::ffi::{c_int, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::NonNull;

const CAPSULE: &CStr = c"django_async_fast._decode.RowDecoder";
const ABI: u32 = 1;

/// `row_decoder` of `native/row_decoder.h`, field by field.
#[repr(C)]
struct Contract {
    abi: u32,
    columns: u32,
    ctx: *const RowDecoder,
    decode_row: DecodeRow,
}

type DecodeRow =
    unsafe extern "C" fn(*const RowDecoder, RawResult, c_int, *mut *mut ffi::PyObject) -> c_int;

/// What the capsule points to: the contract first, then what keeps its `ctx` alive.
#[repr(C)]
struct Handed {
    contract: Contract,
    /// A reference of its own; not a `Py`, which would put off giving it back, because
    /// PyO3 cannot know that a capsule's destructor holds the GIL.
    owner: *mut ffi::PyObject,
}

/// # Safety
/// `capsule` is being destroyed and was made by [`RowDecoder::capsule`].
unsafe extern "C" fn release(capsule: *mut ffi::PyObject) {
    // SAFETY: the pointer is the box that was leaked into this capsule, once.
    unsafe {
        let handed = ffi::PyCapsule_GetPointer(capsule, CAPSULE.as_ptr());
        if !handed.is_null() {
            let handed = Box::from_raw(handed.cast::<Handed>());
            ffi::Py_DECREF(handed.owner);
        }
    }
}

struct Column {
    oid: u32,
    /// The value goes to a Python callable: any type, either format.
    loaded: bool,
    decoder: Box<dyn Decode>,
}

/// Decodes the rows of results that have the given columns.
#[pyclass(frozen, module = "django_async_fast._decode")]
pub struct RowDecoder {
    libpq: &'static Libpq,
    format: Format,
    columns: Box<[Column]>,
}

#[pymethods]
impl RowDecoder {
    #[new]
    #[pyo3(signature = (
        columns, *, result_format=1, session_timezone=None, timezone=None, kinds=None,
        loaders=None
    ))]
    fn new(
        py: Python<'_>,
        columns: Vec<u32>,
        result_format: c_int,
        session_timezone: Option<Bound<'_, PyTzInfo>>,
        timezone: Option<Bound<'_, PyTzInfo>>,
        kinds: Option<Bound<'_, PyMapping>>,
        loaders: Option<Bound<'_, PyMapping>>,
    ) -> PyResult<Self> {
        let format = Format::new(result_format)?;
        let session = Session::new(py, format, session_timezone, timezone, Kinds::new(kinds)?)?;
        let mut loaders = callables(loaders, columns.len())?;
        let column = |(oid, index): (u32, usize)| {
            let loader = loaders.get_mut(index).and_then(Option::take);
            let loaded = loader.is_some();
            let decoder = match loader {
                Some(callable) => Some(Box::new(Loader(callable)) as Box<dyn Decode>),
                None => decoder(py, oid, &session)?,
            };
            let decoder = decoder.ok_or_else(|| {
                PyValueError::new_err(format!(
                    "column {index} has OID {oid}, which is not decoded from {format:?}: \
                     give a loader for it"
                ))
            })?;
            Ok(Column { oid, loaded, decoder })
        };
        Ok(Self {
            libpq: Libpq::loaded()?,
            format,
            columns: columns.into_iter().zip(0..).map(column).collect::<PyResult<_>>()?,
        })
    }

    /// A PyCapsule of the C struct `row_decoder`; it keeps this decoder alive.
    #[getter]
    fn capsule<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyCapsule>> {
        let decoder = slf.get();
        let contract = Contract {
            abi: ABI,
            columns: u32::try_from(decoder.columns.len())?,
            ctx: decoder,
            decode_row,
        };
        let owner = slf.clone().into_ptr();
        let handed = NonNull::from(Box::leak(Box::new(Handed { contract, owner })));
        // SAFETY: `release` takes back what is handed over here, on a thread with the GIL.
        unsafe {
            PyCapsule::new_with_pointer_and_destructor(
                slf.py(),
                handed.cast(),
                CAPSULE,
                Some(release),
            )
        }
    }

    /// The number of rows of a result, after checking that it has this decoder's columns
    /// in its format. Raises ValueError otherwise.
    fn check(&self, pgresult_ptr: usize) -> PyResult<c_int> {
        let result = PgResult::at(pgresult_ptr)?;
        let (got, expected) = (result.columns(), self.columns.len());
        // More is fine: a query may select for its ordering what nobody reads.
        if usize::try_from(got).map_or(true, |got| got < expected) {
            return Err(PyValueError::new_err(format!(
                "expected a result of at least {expected} columns, got {got}"
            )));
        }
        for (index, column) in (0..).zip(&self.columns) {
            let (oid, format) = (result.oid(index), result.format(index));
            let expected = self.format as c_int;
            if !column.loaded && (oid != column.oid || format != expected) {
                return Err(PyValueError::new_err(format!(
                    "expected column {index} with OID {} in format {expected}, \
                     got OID {oid} in format {format}",
                    column.oid,
                )));
            }
        }
        Ok(result.rows())
    }

    /// One row as a tuple. Checks the result and the row each time: for tests, and where
    /// speed does not matter.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        pgresult_ptr: usize,
        row: c_int,
    ) -> PyResult<Bound<'py, PyTuple>> {
        self.check(pgresult_ptr)?;
        let result = PgResult::at(pgresult_ptr)?;
        let row = result.checked_row(row)?;
        let mut values: Vec<*mut ffi::PyObject> = vec![std::ptr::null_mut(); self.columns.len()];
        // SAFETY: the result was checked, and there is room for every column.
        unsafe { self.fill(py, result.raw(), row, values.as_mut_ptr()) }?;
        // SAFETY: `fill` has handed over one new reference per column.
        let own = |value| unsafe { Bound::from_owned_ptr(py, value) };
        let values: Vec<_> = values.into_iter().map(own).collect();
        PyTuple::new(py, values)
    }

    #[allow(clippy::needless_pass_by_value)] // the signature that PyO3 asks for
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // A loader may hold its connection, which may hold this decoder. No __clear__:
        // like a tuple, a decoder never closes such a cycle by itself.
        self.columns.iter().try_for_each(|column| column.decoder.traverse(&visit))
    }
}

impl RowDecoder {
    /// Decode a row into `out`, all of it or nothing.
    ///
    /// # Safety
    /// `result` is a live result and `out` has room for every column.
    #[inline]
    unsafe fn fill(
        &self,
        py: Python<'_>,
        result: RawResult,
        row: c_int,
        out: *mut *mut ffi::PyObject,
    ) -> PyResult<()> {
        // SAFETY: the caller vouches for the result.
        match unsafe { self.libpq.values(result, row, self.columns.len()) } {
            Some(values) => {
                let mut values = values.iter();
                // SAFETY: the result is live; there is room in `out`.
                unsafe { self.write(py, out, |_| values.next().and_then(|value| value.bytes())) }
            }
            // SAFETY: as above.
            None => unsafe { self.write(py, out, |index| self.libpq.value(result, row, index)) },
        }
    }

    /// # Safety
    /// `out` has room for every column.
    #[inline]
    unsafe fn write<'a>(
        &self,
        py: Python<'_>,
        out: *mut *mut ffi::PyObject,
        mut value_of: impl FnMut(c_int) -> Option<&'a [u8]>,
    ) -> PyResult<()> {
        let mut written = Written { out, count: 0 };
        for (index, column) in (0..).zip(&self.columns) {
            let value = match value_of(index) {
                Some(data) => match column.decoder.decode(py, data) {
                    Ok(value) => value,
                    Err(fault) => {
                        return Err(fault.into_error(py, written.count, column.oid, data))
                    }
                },
                None => none(),
            };
            // SAFETY: `out` has room for every column.
            unsafe { written.push(value) };
        }
        std::mem::forget(written);
        Ok(())
    }
}

/// References written so far; given back when the row fails or a decoder panics.
struct Written {
    out: *mut *mut ffi::PyObject,
    count: usize,
}

impl Written {
    /// # Safety
    /// `out` has room for one more.
    #[inline]
    unsafe fn push(&mut self, value: Value) {
        // SAFETY: the caller's.
        unsafe { self.out.add(self.count).write(value.as_ptr()) };
        self.count += 1;
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for index in 0..self.count {
            // SAFETY: `push` wrote a reference there that nobody else has seen.
            unsafe { ffi::Py_DECREF(*self.out.add(index)) };
        }
    }
}

/// `decode_row` of the contract.
///
/// # Safety
/// As `native/row_decoder.h` says: the GIL is held, `ctx` comes with this function,
/// `result` is live and `out` has room for the columns.
unsafe extern "C" fn decode_row(
    ctx: *const RowDecoder,
    result: RawResult,
    row: c_int,
    out: *mut *mut ffi::PyObject,
) -> c_int {
    // SAFETY: the caller holds the GIL.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: `ctx` points into the RowDecoder that the capsule keeps alive; the rest is
    // what `fill` asks for.
    let filled = catch_unwind(AssertUnwindSafe(|| unsafe { (*ctx).fill(py, result, row, out) }));
    match filled {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            error.restore(py);
            -1
        }
        Err(payload) => {
            panicked(&*payload).restore(py);
            -1
        }
    }
}

/// The loaders by column, in a list as long as the columns.
fn callables(
    loaders: Option<Bound<'_, PyMapping>>,
    columns: usize,
) -> PyResult<Vec<Option<Py<PyAny>>>> {
    let mut callables: Vec<_> = (0..columns).map(|_| None).collect();
    let Some(loaders) = loaders else {
        return Ok(callables);
    };
    for item in loaders.items()? {
        let (index, callable): (isize, Bound<'_, PyAny>) = item.extract()?;
        let place =
            usize::try_from(index).ok().and_then(|index| callables.get_mut(index)).ok_or_else(
                || PyIndexError::new_err(format!("loader for column {index} of {columns} columns")),
            )?;
        if !callable.is_callable() {
            return Err(PyTypeError::new_err(format!(
                "the loader of column {index} is not callable"
            )));
        }
        *place = Some(callable.unbind());
    }
    Ok(callables)
}
