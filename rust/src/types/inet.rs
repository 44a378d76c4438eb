//! `inet` and `cidr`, which Django takes as text.

use super::decode::{Decode, Parse};
use super::encode::Encode;
use super::text::{ascii, unicode};
use super::value::Value;
use crate::fault::Fault;
use pyo3::intern;
use pyo3::prelude::*;
use wire::inet;

pub struct Inet;

impl Decode for Inet {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        ascii(py, inet::inet(data)?.as_bytes())
    }
}

impl Parse for Inet {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        unicode(py, data)
    }
}

/// `inet` of `ipaddress.IPv4Address` and `IPv6Address`.
pub struct Addresses {
    ipv4: Py<PyAny>,
    ipv6: Py<PyAny>,
}

impl Addresses {
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let module = py.import("ipaddress")?;
        Ok(Self {
            ipv4: module.getattr("IPv4Address")?.unbind(),
            ipv6: module.getattr("IPv6Address")?.unbind(),
        })
    }
}

impl Encode for Addresses {
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let (py, class) = (value.py(), value.get_type());
        let number = || value.call_method0(intern!(py, "__int__"));
        if class.is(&self.ipv4) {
            out.extend([inet::IPV4, 32, 0, 4]);
            out.extend(number()?.extract::<u32>()?.to_be_bytes());
            return Ok(true);
        }
        if !class.is(&self.ipv6) || !value.getattr(intern!(py, "scope_id"))?.is_none() {
            return Ok(false);
        }
        out.extend([inet::IPV6, 128, 0, 16]);
        out.extend(number()?.extract::<u128>()?.to_be_bytes());
        Ok(true)
    }
}
