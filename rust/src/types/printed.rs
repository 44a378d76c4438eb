//! Types that Django takes as the server's text: the value is printed as the server does.

use super::decode::{Decode, Parse};
use super::oid;
use super::text::unicode;
use super::value::Value;
use crate::fault::Fault;
use pyo3::Python;
use wire::{bits, geometry, macaddr, scalar, system, tsquery, tsvector, Malformed};

/// Appends the text of a value.
pub type Print = fn(&[u8], &mut Vec<u8>) -> Result<(), Malformed>;

pub struct Printed(pub Print);

/// What prints the values of a type, if it is one of these.
pub fn print(oid: u32) -> Option<Print> {
    Some(match oid {
        oid::INT2VECTOR => system::int2vector,
        oid::OIDVECTOR => system::oidvector,
        oid::TID => system::tid,
        oid::XID | oid::CID => system::xid,
        oid::XID8 => system::xid8,
        oid::PG_LSN => system::pg_lsn,
        oid::POINT => geometry::point,
        oid::LSEG => geometry::lseg,
        oid::PATH => geometry::path,
        oid::BOX => geometry::rectangle,
        oid::POLYGON => geometry::polygon,
        oid::LINE => geometry::line,
        oid::CIRCLE => geometry::circle,
        oid::MACADDR => macaddr::macaddr,
        oid::MACADDR8 => macaddr::macaddr8,
        oid::BIT | oid::VARBIT => bits::bits,
        oid::TSVECTOR => tsvector::tsvector,
        oid::TSQUERY => tsquery::tsquery,
        oid::JSONPATH => scalar::jsonpath,
        _ => return None,
    })
}

impl Decode for Printed {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let mut text = Vec::new();
        (self.0)(data, &mut text)?;
        unicode(py, &text)
    }
}

impl Parse for Printed {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        unicode(py, data)
    }
}
