//! Which decoder reads a type: by its OID, or by the kind that the caller knows of it.

use super::decode::{either, Decode};
use super::encode::Encode;
use super::kinds::{Kind, Kinds};
use super::session::{Format, Session};
use super::{
    array, bool, bytea, date, float, hstore, inet, int, interval, json, numeric, oid, printed,
    range, text, time, timestamp, uuid,
};
use pyo3::prelude::*;
use wire::hex::hex;

/// The OIDs whose text [`decoder`] knows.
pub fn text_oids(py: Python<'_>) -> PyResult<Vec<u32>> {
    let session = Session::new(py, Format::Text, None, None, Kinds::default())?;
    known(|oid| decoder(py, oid, &session))
}

/// The OIDs that [`encoder`] knows.
pub fn encoded_oids(py: Python<'_>) -> PyResult<Vec<u32>> {
    known(|oid| encoder(py, oid, &Kinds::default()))
}

/// Those for which `made` is something.
fn known<T>(made: impl Fn(u32) -> PyResult<Option<T>>) -> PyResult<Vec<u32>> {
    let mut oids = Vec::new();
    for &oid in oid::ALL {
        if made(oid)?.is_some() {
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
            None => return decoder_of_kind(py, oid, session),
        },
    }))
}

/// The encoder of a type, or `None` for a type that is not encoded.
pub fn encoder(py: Python<'_>, oid: u32, kinds: &Kinds) -> PyResult<Option<Box<dyn Encode>>> {
    Ok(Some(match oid {
        oid::BOOL => Box::new(bool::Bool),
        oid::BYTEA => Box::new(bytea::Bytea),
        oid::INT2 => Box::new(int::Int2),
        oid::INT4 => Box::new(int::Int4),
        oid::INT8 => Box::new(int::Int8),
        oid::TEXT | oid::BPCHAR | oid::VARCHAR | oid::JSON => Box::new(text::Text),
        oid::JSONB => Box::new(json::Jsonb),
        oid::FLOAT4 => Box::new(float::Float4),
        oid::FLOAT8 => Box::new(float::Float8),
        oid::NUMERIC => Box::new(numeric::Numeric::new(py)?),
        oid::INET => Box::new(inet::Addresses::new(py)?),
        oid::UUID => Box::new(uuid::Uuid::new(py)?),
        oid::DATE => Box::new(date::Date::new(py)?),
        oid::TIME => Box::new(time::Time::new(py)?),
        oid::TIMESTAMP => Box::new(timestamp::Timestamp::new(py)?),
        oid::TIMESTAMPTZ => Box::new(timestamp::Instant::new(py)?),
        oid::INTERVAL => Box::new(interval::Interval::new(py)?),
        _ => return encoder_of_kind(py, oid, kinds),
    }))
}

/// The encoder of a type by its kind; `None` when it, or what it is made of, is not encoded.
fn encoder_of_kind(py: Python<'_>, oid: u32, kinds: &Kinds) -> PyResult<Option<Box<dyn Encode>>> {
    let Some(kind) = kinds.get(oid) else {
        return Ok(None);
    };
    let inner = match kind.inside() {
        Some(inside) => encoder(py, inside, kinds)?,
        None => None,
    };
    Ok(match (kind, inner) {
        (Kind::Text, _) => Some(Box::new(text::Text)),
        (Kind::Hstore, _) => Some(Box::new(hstore::Hstore)),
        (Kind::Array(oid), Some(element)) => Some(Box::new(array::Lists::new(oid, element))),
        (Kind::Range(_), Some(subtype)) => Some(Box::new(range::Bounds::new(py, subtype)?)),
        _ => None,
    })
}

/// The decoder of a type by its kind; `None` when it, or what it is made of, is unknown.
fn decoder_of_kind(
    py: Python<'_>,
    oid: u32,
    session: &Session,
) -> PyResult<Option<Box<dyn Decode>>> {
    let Some(kind) = session.kinds.get(oid) else {
        return Ok(None);
    };
    let inner = match kind.inside() {
        Some(inside) => decoder(py, inside, session)?,
        None => None,
    };
    Ok(match (kind, inner) {
        (Kind::Text, _) => Some(Box::new(text::Text)),
        (Kind::Hex, _) => Some(either(session, printed::Printed(hex))),
        (Kind::Hstore, _) => Some(either(session, hstore::Hstore)),
        (Kind::Array(oid), Some(element)) => Some(either(session, array::Array::new(oid, element))),
        (Kind::Range(_), Some(subtype)) => Some(either(session, range::Range::new(py, subtype)?)),
        (Kind::Multirange(_), Some(subtype)) => {
            Some(either(session, range::Multirange::new(py, subtype)?))
        }
        _ => None,
    })
}
