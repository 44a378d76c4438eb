//! Types whose OIDs differ between databases, and types made of other types: the caller
//! knows the kinds of its OIDs.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyMapping;
use std::collections::HashMap;

#[derive(Clone, Copy)]
pub enum Kind {
    /// Its binary form is its text: enums, citext.
    Text,
    /// Its text is its binary form in hexadecimal: geometries.
    Hex,
    Hstore,
    /// Of elements of a type.
    Array(u32),
    /// Of bounds of a type.
    Range(u32),
    /// Of ranges of bounds of a type.
    Multirange(u32),
}

/// The kinds of types, by OID.
#[derive(Default)]
pub struct Kinds(HashMap<u32, Kind>);

impl Kinds {
    /// From a mapping of OIDs to pairs: the kind, and the OID of the type inside (or 0).
    pub fn new(kinds: Option<Bound<'_, PyMapping>>) -> PyResult<Self> {
        let mut found = HashMap::new();
        if let Some(kinds) = kinds {
            for item in kinds.items()? {
                let (oid, (name, inside)): (u32, (String, u32)) = item.extract()?;
                found.insert(oid, Kind::new(&name, inside)?);
            }
        }
        let kinds = Self(found);
        match kinds.0.keys().find(|oid| kinds.contains_itself(**oid)) {
            Some(oid) => {
                Err(PyValueError::new_err(format!("the type with OID {oid} is made of itself")))
            }
            None => Ok(kinds),
        }
    }

    pub fn get(&self, oid: u32) -> Option<Kind> {
        self.0.get(&oid).copied()
    }

    fn contains_itself(&self, oid: u32) -> bool {
        let mut inside = oid;
        for _ in 0..=self.0.len() {
            match self.0.get(&inside).and_then(Kind::inside) {
                Some(next) => inside = next,
                None => return false,
            }
        }
        true
    }
}

impl Kind {
    fn new(name: &str, inside: u32) -> PyResult<Self> {
        Ok(match name {
            "text" => Self::Text,
            "hex" => Self::Hex,
            "hstore" => Self::Hstore,
            "array" => Self::Array(inside),
            "range" => Self::Range(inside),
            "multirange" => Self::Multirange(inside),
            _ => {
                return Err(PyValueError::new_err(format!(
                    "no kind of type is called {name:?}: one of text, hex, hstore, array, range \
                     and multirange"
                )))
            }
        })
    }

    pub fn inside(&self) -> Option<u32> {
        match self {
            Self::Text | Self::Hex | Self::Hstore => None,
            Self::Array(oid) | Self::Range(oid) | Self::Multirange(oid) => Some(*oid),
        }
    }
}
