//! `uuid`.
//!
//! `uuid.UUID.__init__` is Python and takes longer than the rest of a row. Its instances
//! have two slots; filling these through the class's own descriptors is all it does.

use super::decode::{reads, Decode, Parse};
use super::encode::Encode;
use super::slots::Slots;
use super::value::{give, made, Value};
use crate::fault::Fault;
use pyo3::ffi;
use pyo3::intern;
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
    slots: Option<Slots<2>>,
    /// `SafeUUID.unknown`, the value of `is_safe` for a UUID from bytes.
    unknown: Py<PyAny>,
}

impl Uuid {
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        CLASS.get_or_try_init(py, || Class::new(py)).map(Self)
    }
}

reads! {
    Uuid: scalar::uuid, text::uuid => |this, py, bytes| this.0.make(py, bytes);
}

impl Encode for Uuid {
    #[inline]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        if value.get_type().as_ptr() != self.0.uuid.as_ptr() {
            return Ok(false);
        }
        let int = value.getattr(intern!(value.py(), "int"))?;
        out.extend(int.extract::<u128>()?.to_be_bytes());
        Ok(true)
    }
}

impl Class {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let module = py.import("uuid")?;
        let uuid = module.getattr("UUID")?.cast_into::<PyType>()?;
        let unknown = module.getattr("SafeUUID")?.getattr("unknown")?.unbind();
        let slots = Slots::new(&uuid, ["int", "is_safe"])?;
        let uuid = uuid.unbind();
        let mut class = Self { uuid, slots, unknown };
        if !class.agrees(py)? {
            class.slots = None;
        }
        Ok(class)
    }

    #[inline]
    fn make(&self, py: Python<'_>, bytes: [u8; 16]) -> Result<Value, Fault> {
        match &self.slots {
            Some(slots) => self.fill(py, slots, bytes),
            None => self.call(py, bytes),
        }
    }

    /// Whether an instance filled by us is what the class itself makes of the same bytes.
    fn agrees(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(slots) = &self.slots else {
            return Ok(false);
        };
        let bytes = *b"\x9c\x01\x02\x03\x04\x05\x46\x07\x88\x09\x0a\x0b\x0c\x0d\x0e\x0f";
        let filled = made(py, self.fill(py, slots, bytes))?;
        let called = made(py, self.call(py, bytes))?;
        let state = filled.call_method0("__getstate__")?;
        Ok(filled.eq(&called)?
            && filled.hash()? == called.hash()?
            && state.eq(called.call_method0("__getstate__")?)?
            && filled.getattr("is_safe")?.is(called.getattr("is_safe")?))
    }

    #[inline]
    fn fill(&self, py: Python<'_>, slots: &Slots<2>, bytes: [u8; 16]) -> Result<Value, Fault> {
        let Ok(int) = u128::from_be_bytes(bytes).into_pyobject(py);
        // SAFETY: both values are alive. An int and an enum member cannot lead back to the
        // instance: the collector may skip it.
        unsafe {
            let value = slots.fill(py, [int.as_ptr(), self.unknown.as_ptr()])?;
            ffi::PyObject_GC_UnTrack(value.as_ptr().cast::<c_void>());
            Ok(value)
        }
    }

    fn call(&self, py: Python<'_>, bytes: [u8; 16]) -> Result<Value, Fault> {
        let arguments = (py.None(), PyBytes::new(py, &bytes));
        Ok(give(self.uuid.bind(py).call1(arguments)?))
    }
}
