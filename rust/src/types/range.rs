//! Ranges and multiranges, as psycopg's `Range` and `Multirange`.

use super::decode::{Decode, Parse};
use super::encode::{sized, Encode};
use super::slots::Slots;
use super::value::{call, give, made, own, Value};
use crate::fault::Fault;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyString, PyType};
use pyo3::{PyTraverseError, PyVisit};
use wire::range::{self, flag, multirange};
use wire::text::range as text;

static CLASS: PyOnceLock<Class> = PyOnceLock::new();

pub struct Range {
    class: &'static Class,
    subtype: Box<dyn Decode>,
}

pub struct Multirange {
    range: Range,
    class: Py<PyAny>,
}

struct Class {
    range: Py<PyType>,
    /// `_lower`, `_upper`, `_bounds`: what `Range.__init__`, which is Python, sets.
    slots: Option<Slots<3>>,
    /// `()`, `(]`, `[)`, `[]`, then the empty range's.
    bounds: [Py<PyAny>; 5],
}

const EMPTY: usize = 4;

/// Lower and upper bound, and which of `Class::bounds`.
type Parts<'a, 'py> = (&'a Bound<'py, PyAny>, &'a Bound<'py, PyAny>, usize);

impl Range {
    pub fn new(py: Python<'_>, subtype: Box<dyn Decode>) -> PyResult<Self> {
        let class = CLASS.get_or_try_init(py, || Class::new(py))?;
        Ok(Self { class, subtype })
    }

    fn make<B: AsRef<[u8]>>(
        &self,
        py: Python<'_>,
        range: Option<&range::Range<B>>,
    ) -> Result<Value, Fault> {
        let Some(range) = range else {
            let none = py.None().into_bound(py);
            return self.class.make(py, (&none, &none, EMPTY));
        };
        let lower = self.decode_bound(py, range.lower.as_ref())?;
        let upper = self.decode_bound(py, range.upper.as_ref())?;
        let bounds = 2 * usize::from(range.lower_inclusive) + usize::from(range.upper_inclusive);
        self.class.make(py, (&lower, &upper, bounds))
    }

    fn decode_bound<'py>(
        &self,
        py: Python<'py>,
        data: Option<&impl AsRef<[u8]>>,
    ) -> Result<Bound<'py, PyAny>, Fault> {
        match data {
            Some(data) => Ok(own(py, self.subtype.decode(py, data.as_ref())?)),
            None => Ok(py.None().into_bound(py)),
        }
    }
}

impl Decode for Range {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        self.make(py, range::range(data)?.as_ref())
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.subtype.traverse(visit)
    }
}

impl Parse for Range {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        self.make(py, text::range(data)?.as_ref())
    }
}

impl Multirange {
    pub fn new(py: Python<'_>, subtype: Box<dyn Decode>) -> PyResult<Self> {
        let module = py.import("psycopg.types.multirange")?;
        Ok(Self {
            range: Range::new(py, subtype)?,
            class: module.getattr(intern!(py, "Multirange"))?.unbind(),
        })
    }
}

impl Decode for Multirange {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let (count, mut ranges) = multirange(data)?;
        let list = PyList::empty(py);
        for _ in 0..count {
            let range = self.range.decode(py, range::bound(&mut ranges)?)?;
            list.append(own(py, range))?;
        }
        ranges.end()?;
        call(py, &self.class, give(list))
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.range.traverse(visit)
    }
}

impl Parse for Multirange {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let list = PyList::empty(py);
        for range in text::multirange(data)? {
            list.append(own(py, self.range.make(py, Some(&range))?))?;
        }
        call(py, &self.class, give(list))
    }
}

impl Class {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let range = py.import("psycopg.types.range")?.getattr("Range")?;
        let range = range.cast_into::<PyType>()?;
        let slots = Slots::new(&range, ["_lower", "_upper", "_bounds"])?;
        let text = |text| PyString::intern(py, text).into_any().unbind();
        let bounds = ["()", "(]", "[)", "[]", ""].map(text);
        let range = range.unbind();
        let mut class = Self { range, slots, bounds };
        if !class.agrees(py)? {
            class.slots = None;
        }
        Ok(class)
    }

    /// Whether instances filled by us are what the class itself makes of the same values.
    fn agrees(&self, py: Python<'_>) -> PyResult<bool> {
        let none = py.None().into_bound(py);
        let one = 1_i32.into_pyobject(py)?.into_any();
        for (lower, upper, bounds) in [(&one, &none, 2), (&one, &one, 3), (&none, &none, EMPTY)] {
            let filled = made(py, self.make(py, (lower, upper, bounds)))?;
            let called = made(py, self.call(py, (lower, upper, bounds)))?;
            let state = filled.call_method0("__getstate__")?;
            let same = filled.eq(&called)? && state.eq(called.call_method0("__getstate__")?)?;
            if !same || filled.getattr_opt("__dict__")?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn make(&self, py: Python<'_>, parts: Parts<'_, '_>) -> Result<Value, Fault> {
        let Some(slots) = &self.slots else {
            return self.call(py, parts);
        };
        let (lower, upper, bounds) = parts;
        let values = [lower.as_ptr(), upper.as_ptr(), self.bounds[bounds].as_ptr()];
        // SAFETY: all three are alive.
        unsafe { slots.fill(py, values) }
    }

    fn call(&self, py: Python<'_>, parts: Parts<'_, '_>) -> Result<Value, Fault> {
        let (lower, upper, bounds) = parts;
        let bounds_or_default = &self.bounds[if bounds == EMPTY { 2 } else { bounds }];
        let arguments = (lower, upper, bounds_or_default, bounds == EMPTY);
        Ok(give(self.range.bind(py).call1(arguments)?))
    }
}

/// Encodes psycopg's ranges.
pub struct Bounds {
    class: &'static Class,
    subtype: Box<dyn Encode>,
}

impl Bounds {
    pub fn new(py: Python<'_>, subtype: Box<dyn Encode>) -> PyResult<Self> {
        let class = CLASS.get_or_try_init(py, || Class::new(py))?;
        Ok(Self { class, subtype })
    }

    /// Append a bound, if there is one; tell whether it is encoded.
    fn bound(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        Ok(value.is_none() || sized(self.subtype.as_ref(), value, out)?)
    }
}

impl Encode for Bounds {
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let py = value.py();
        if !value.get_type().is(&self.class.range) {
            return Ok(false);
        }
        let bounds = value.getattr(intern!(py, "_bounds"))?;
        let Ok(bounds) = bounds.cast_exact::<PyString>() else {
            return Ok(false);
        };
        let (lower_inclusive, upper_inclusive) = match bounds.to_str()? {
            "" => {
                out.push(flag::EMPTY);
                return Ok(true);
            }
            "()" => (0, 0),
            "(]" => (0, flag::UPPER_INCLUSIVE),
            "[)" => (flag::LOWER_INCLUSIVE, 0),
            "[]" => (flag::LOWER_INCLUSIVE, flag::UPPER_INCLUSIVE),
            _ => return Ok(false),
        };
        let lower = value.getattr(intern!(py, "_lower"))?;
        let upper = value.getattr(intern!(py, "_upper"))?;
        out.push(
            if lower.is_none() { flag::LOWER_INFINITE } else { lower_inclusive }
                | if upper.is_none() { flag::UPPER_INFINITE } else { upper_inclusive },
        );
        Ok(self.bound(&lower, out)? && self.bound(&upper, out)?)
    }
}
