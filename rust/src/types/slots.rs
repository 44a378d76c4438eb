//! Instances of classes that keep their attributes in slots, filled without `__init__`.
//!
//! Whoever uses this compares one instance with what the class itself makes of the same
//! values, and calls the class where they differ.

use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

pub struct Slots<const N: usize> {
    class: Py<PyType>,
    /// The descriptors of the slots, all of one type.
    members: [Py<PyAny>; N],
    set: ffi::descrsetfunc,
    allocate: ffi::allocfunc,
}

impl<const N: usize> Slots<N> {
    /// `None` when the class does not keep all of these attributes in slots.
    pub fn new(class: &Bound<'_, PyType>, names: [&str; N]) -> PyResult<Option<Self>> {
        let mut members = Vec::with_capacity(N);
        for name in names {
            let member = class.getattr(name)?;
            if member.get_type_ptr() != &raw mut ffi::PyMemberDescr_Type {
                return Ok(None);
            }
            members.push(member.unbind());
        }
        // SAFETY: the type of descriptors lives for ever, the class is alive.
        let (set, allocate) =
            unsafe { (ffi::PyMemberDescr_Type.tp_descr_set, (*class.as_type_ptr()).tp_alloc) };
        let (Some(set), Some(allocate), Ok(members)) = (set, allocate, members.try_into()) else {
            return Ok(None);
        };
        let class = class.clone().unbind();
        Ok(Some(Self { class, members, set, allocate }))
    }

    /// An instance with these values, which are borrowed.
    ///
    /// # Safety
    /// The values are alive.
    #[inline]
    pub unsafe fn fill(
        &self,
        py: Python<'_>,
        values: [*mut ffi::PyObject; N],
    ) -> Result<Value, Fault> {
        // SAFETY: `allocate` makes an instance of the class with empty slots, and `set`
        // belongs to its descriptors; the values are the caller's.
        unsafe {
            let instance = owned(py, (self.allocate)(self.class.as_ptr().cast(), 0))?;
            for (member, value) in self.members.iter().zip(values) {
                if (self.set)(member.as_ptr(), instance.as_ptr(), value) != 0 {
                    let fault = Fault::pending(py);
                    ffi::Py_DECREF(instance.as_ptr());
                    return Err(fault);
                }
            }
            Ok(instance)
        }
    }
}
