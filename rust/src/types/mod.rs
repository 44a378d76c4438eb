//! One file per family of types, one decoder per type.

mod array;
mod bool;
mod bytea;
mod date;
mod datetime;
mod float;
mod format;
mod hstore;
mod inet;
mod int;
mod interval;
mod json;
mod kind;
mod loader;
mod numeric;
mod printed;
mod range;
mod slots;
mod text;
mod time;
mod timestamp;
mod uuid;

use crate::fault::Fault;
use format::either;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTzInfo;
use pyo3::{PyTraverseError, PyVisit};
use std::ptr::NonNull;

pub use format::{Format, Parse};
pub use kind::Kinds;
pub use loader::Loader;

/// A new reference.
pub type Value = NonNull<ffi::PyObject>;

/// Builds the Python value of one column's type, from one format. Whatever it needs is
/// looked up when it is made, once per query; `decode` runs once per value.
pub trait Decode: Send + Sync {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault>;

    /// Visit the Python objects that could be part of a reference cycle.
    fn traverse(&self, _visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        Ok(())
    }
}

/// What the values of a query depend on besides their bytes.
pub struct Session {
    format: Format,
    /// The zone in which the server would print a timestamptz; `None` is UTC.
    zone: Option<Py<PyTzInfo>>,
    /// The tzinfo that replaces it, `None` for naive values.
    timezone: Option<Py<PyTzInfo>>,
    /// What is known of types whose OIDs are not fixed.
    kinds: Kinds,
}

impl Session {
    pub fn new(
        py: Python<'_>,
        format: Format,
        zone: Option<Bound<'_, PyTzInfo>>,
        timezone: Option<Bound<'_, PyTzInfo>>,
        kinds: Kinds,
    ) -> PyResult<Self> {
        let zone = match zone {
            Some(zone) if !is_utc(py, &zone)? => Some(zone.unbind()),
            _ => None,
        };
        Ok(Self {
            format,
            zone,
            timezone: timezone.map(Bound::unbind),
            kinds,
        })
    }
}

fn is_utc(py: Python<'_>, zone: &Bound<'_, PyTzInfo>) -> PyResult<bool> {
    if zone.is(PyTzInfo::utc(py)?) {
        return Ok(true);
    }
    let key = zone.getattr_opt(intern!(py, "key"))?;
    Ok(key.is_some_and(|key| key.eq("UTC").unwrap_or(false)))
}

/// Every OID that [`decoder`] knows by itself in binary, each with the name in `pg_type`.
pub const BINARY_OIDS: &[u32] = &[
    oid::BOOL,
    oid::BYTEA,
    oid::CHAR,
    oid::NAME,
    oid::INT8,
    oid::INT2,
    oid::INT4,
    oid::TEXT,
    oid::OID,
    oid::JSON,
    oid::CIDR,
    oid::FLOAT4,
    oid::FLOAT8,
    oid::UNKNOWN,
    oid::INET,
    oid::BPCHAR,
    oid::VARCHAR,
    oid::DATE,
    oid::TIME,
    oid::TIMESTAMP,
    oid::TIMESTAMPTZ,
    oid::INTERVAL,
    oid::TIMETZ,
    oid::NUMERIC,
    oid::UUID,
    oid::JSONB,
    oid::INT2VECTOR,
    oid::TID,
    oid::XID,
    oid::CID,
    oid::OIDVECTOR,
    oid::XML,
    oid::POINT,
    oid::LSEG,
    oid::PATH,
    oid::BOX,
    oid::POLYGON,
    oid::LINE,
    oid::CIRCLE,
    oid::MACADDR8,
    oid::MACADDR,
    oid::BIT,
    oid::VARBIT,
    oid::REFCURSOR,
    oid::PG_LSN,
    oid::TSVECTOR,
    oid::TSQUERY,
    oid::JSONPATH,
    oid::XID8,
];

/// Those of them that it knows in text too.
pub fn text_oids(py: Python<'_>) -> PyResult<Vec<u32>> {
    let session = Session::new(py, Format::Text, None, None, Kinds::default())?;
    let mut oids = Vec::new();
    for &oid in BINARY_OIDS {
        if decoder(py, oid, &session)?.is_some() {
            oids.push(oid);
        }
    }
    Ok(oids)
}

/// The decoder of a type for the session's format, or `None` for a type that is not
/// decoded from it.
pub fn decoder(py: Python<'_>, oid: u32, session: &Session) -> PyResult<Option<Box<dyn Decode>>> {
    Ok(Some(match oid {
        oid::BOOL => either(session, bool::Bool),
        oid::BYTEA => either(session, bytea::Bytea),
        oid::CHAR => either(session, text::Char),
        oid::NAME | oid::TEXT | oid::UNKNOWN | oid::BPCHAR | oid::VARCHAR => Box::new(text::Text),
        oid::REFCURSOR | oid::XML => Box::new(text::Text),
        oid::INT2 => either(session, int::Int2),
        oid::INT4 => either(session, int::Int4),
        oid::INT8 => either(session, int::Int8),
        oid::OID => either(session, int::Oid),
        oid::FLOAT4 => either(session, float::Float4),
        oid::FLOAT8 => either(session, float::Float8),
        oid::NUMERIC => either(session, numeric::Numeric::new(py)?),
        oid::JSON => Box::new(json::Json::new(py)?),
        oid::JSONB => either(session, json::Jsonb),
        oid::CIDR | oid::INET => either(session, inet::Inet),
        oid::UUID => either(session, uuid::Uuid::new(py)?),
        oid::DATE => either(session, date::Date::new(py)?),
        oid::TIME => either(session, time::Time::new(py)?),
        oid::TIMETZ => either(session, time::Timetz::new(py)?),
        oid::TIMESTAMP => either(session, timestamp::Timestamp::new(py)?),
        oid::TIMESTAMPTZ => timestamp::timestamptz(py, session)?,
        oid::INTERVAL => either(session, interval::Interval::new(py)?),
        _ => match printed::print(oid) {
            Some(print) => either(session, printed::Printed(print)),
            None => return kind::decoder_of_kind(py, oid, session),
        },
    }))
}

/// Type OIDs as `pg_type.dat` fixes them.
mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const JSON: u32 = 114;
    pub const CIDR: u32 = 650;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const INET: u32 = 869;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const TIMETZ: u32 = 1266;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
    pub const INT2VECTOR: u32 = 22;
    pub const TID: u32 = 27;
    pub const XID: u32 = 28;
    pub const CID: u32 = 29;
    pub const OIDVECTOR: u32 = 30;
    pub const XML: u32 = 142;
    pub const POINT: u32 = 600;
    pub const LSEG: u32 = 601;
    pub const PATH: u32 = 602;
    pub const BOX: u32 = 603;
    pub const POLYGON: u32 = 604;
    pub const LINE: u32 = 628;
    pub const CIRCLE: u32 = 718;
    pub const MACADDR8: u32 = 774;
    pub const MACADDR: u32 = 829;
    pub const BIT: u32 = 1560;
    pub const VARBIT: u32 = 1562;
    pub const REFCURSOR: u32 = 1790;
    pub const PG_LSN: u32 = 3220;
    pub const TSVECTOR: u32 = 3614;
    pub const TSQUERY: u32 = 3615;
    pub const JSONPATH: u32 = 4072;
    pub const XID8: u32 = 5069;
}

/// The new reference that a function of Python's C API returned, or the exception it set.
///
/// # Safety
/// `object` is such a return value: owned, or NULL with an exception set.
#[inline]
unsafe fn owned(py: Python<'_>, object: *mut ffi::PyObject) -> Result<Value, Fault> {
    NonNull::new(object).ok_or_else(|| Fault::pending(py))
}

/// A new reference to a living object.
///
/// # Safety
/// `object` is not NULL and alive.
#[inline]
pub unsafe fn borrowed(object: *mut ffi::PyObject) -> Value {
    // SAFETY: the caller's.
    unsafe {
        ffi::Py_INCREF(object);
        NonNull::new_unchecked(object)
    }
}

/// A new reference to None.
#[inline]
pub fn none() -> Value {
    // SAFETY: None always exists.
    unsafe { borrowed(ffi::Py_None()) }
}

/// The owner of a new reference, who gives it back.
#[inline]
fn own(py: Python<'_>, value: Value) -> Bound<'_, PyAny> {
    // SAFETY: a Value is a new reference, and this one is given away here.
    unsafe { Bound::from_owned_ptr(py, value.as_ptr()) }
}

/// The reference of an owner who does not give it back.
#[inline]
fn give<T>(owner: Bound<'_, T>) -> Value {
    // SAFETY: an owner's pointer is never NULL.
    unsafe { NonNull::new_unchecked(owner.into_ptr()) }
}

/// `callable(argument)`, where the reference to the argument is given away.
#[inline]
fn call(py: Python<'_>, callable: &Py<PyAny>, argument: Value) -> Result<Value, Fault> {
    // SAFETY: both are alive; the argument is ours to give back after the call.
    unsafe {
        let result = ffi::PyObject_CallOneArg(callable.as_ptr(), argument.as_ptr());
        ffi::Py_DECREF(argument.as_ptr());
        owned(py, result)
    }
}
