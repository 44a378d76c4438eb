//! `uuid`.
//!
//! `uuid.UUID.__init__` is Python and takes longer than the rest of a row. Its instances
//! have two slots; filling these through the class's own descriptors is all it does.

use super::{owned, Decode, Parse, Value};
use crate::fault::Fault;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};
use std::ffi::c_void;
use wire::scalar;
use wire::text::uuid as text;

static CLASS: PyOnceLock<Class> = PyOnceLock::new();

pub struct Uuid(&'static Class);

struct Class {
    /// `uuid.UUID`, whose instances are called for with `UUID(bytes=…)` if need be.
    uuid: Py<PyType>,
    slots: Option<Slots>,
}

struct Slots {
    int: Py<PyAny>,
    is_safe: Py<PyAny>,
    set: ffi::descrsetfunc,
    allocate: ffi::allocfunc,
    /// `SafeUUID.unknown`, the value of `is_safe` for a UUID from bytes.
    unknown: Py<PyAny>,
}

impl Uuid {
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        CLASS.get_or_try_init(py, || Class::new(py)).map(Self)
    }
}

impl Decode for Uuid {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        self.0.make(py, scalar::uuid(data)?)
    }
}

impl Parse for Uuid {
    #[inline]
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        self.0.make(py, text::uuid(data)?)
    }
}

impl Class {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let module = py.import("uuid")?;
        let uuid = module.getattr("UUID")?.cast_into::<PyType>()?;
        let unknown = module.getattr("SafeUUID")?.getattr("unknown")?;
        let slots = Slots::new(&uuid, unknown)?;
        let uuid = uuid.unbind();
        let mut class = Self { uuid, slots };
        if !class.agrees(py)? {
            class.slots = None;
        }
        Ok(class)
    }

    #[inline]
    fn make(&self, py: Python<'_>, bytes: [u8; 16]) -> Result<Value, Fault> {
        match &self.slots {
            Some(slots) => slots.fill(py, &self.uuid, bytes),
            None => self.call(py, bytes),
        }
    }

    /// Whether an instance filled by us is what the class itself makes of the same bytes.
    fn agrees(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(slots) = &self.slots else {
            return Ok(false);
        };
        let bytes = *b"\x9c\x01\x02\x03\x04\x05\x46\x07\x88\x09\x0a\x0b\x0c\x0d\x0e\x0f";
        let own = |value: Result<Value, Fault>| match value {
            // SAFETY: a new reference.
            Ok(value) => Ok(unsafe { Bound::from_owned_ptr(py, value.as_ptr()) }),
            Err(fault) => Err(fault.into_error(py, 0, 0, &bytes)),
        };
        let filled = own(slots.fill(py, &self.uuid, bytes))?;
        let called = own(self.call(py, bytes))?;
        let state = filled.call_method0("__getstate__")?;
        Ok(filled.eq(&called)?
            && filled.hash()? == called.hash()?
            && state.eq(called.call_method0("__getstate__")?)?
            && filled.getattr("is_safe")?.is(called.getattr("is_safe")?))
    }

    fn call(&self, py: Python<'_>, bytes: [u8; 16]) -> Result<Value, Fault> {
        let arguments = (py.None(), PyBytes::new(py, &bytes));
        let value = self.uuid.bind(py).call1(arguments)?;
        // SAFETY: a new reference.
        unsafe { owned(py, value.into_ptr()) }
    }
}

impl Slots {
    /// `None` when the class does not keep its attributes in slots.
    fn new(uuid: &Bound<'_, PyType>, unknown: Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let (int, is_safe) = (uuid.getattr("int")?, uuid.getattr("is_safe")?);
        // SAFETY: both are alive, and so are their types and the class.
        let (set, allocate) = unsafe {
            let kind = int.get_type_ptr();
            if kind != &raw mut ffi::PyMemberDescr_Type || kind != is_safe.get_type_ptr() {
                return Ok(None);
            }
            ((*kind).tp_descr_set, (*uuid.as_type_ptr()).tp_alloc)
        };
        let (Some(set), Some(allocate)) = (set, allocate) else {
            return Ok(None);
        };
        Ok(Some(Self {
            int: int.unbind(),
            is_safe: is_safe.unbind(),
            set,
            allocate,
            unknown: unknown.unbind(),
        }))
    }

    #[inline]
    fn fill(&self, py: Python<'_>, uuid: &Py<PyType>, bytes: [u8; 16]) -> Result<Value, Fault> {
        // SAFETY: `allocate` makes an instance of the class with empty slots, and `set`
        // belongs to both descriptors, which are the class's.
        unsafe {
            let value = owned(py, (self.allocate)(uuid.as_ptr().cast(), 0))?;
            let instance = value.as_ptr();
            // An int and an enum member cannot lead back to it: the collector may skip it.
            ffi::PyObject_GC_UnTrack(instance.cast::<c_void>());
            let Ok(int) = u128::from_be_bytes(bytes).into_pyobject(py);
            let failed = (self.set)(self.int.as_ptr(), instance, int.as_ptr()) != 0
                || (self.set)(self.is_safe.as_ptr(), instance, self.unknown.as_ptr()) != 0;
            if failed {
                let fault = Fault::pending(py);
                ffi::Py_DECREF(instance);
                return Err(fault);
            }
            Ok(value)
        }
    }
}
