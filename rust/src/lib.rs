//! PostgreSQL's values, in binary or text, as Python values, straight from libpq's result.
//!
//! `wire/` reads the bytes and knows no Python; `types/` builds the Python value of one
//! type family per file; `row` ties decoders to columns and hands `native/` one C function
//! per query; `libpq` finds the functions that read a result.

mod array_of;
mod fault;
mod interpreter;
mod layout;
mod libpq;
mod row;
mod rows_of;
mod types;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod _decode {
    #[allow(clippy::wildcard_imports)]
    use super::*;

    #[pymodule_export]
    use super::array_of::array_of;

    #[pymodule_export]
    use super::row::RowDecoder;

    #[pymodule_export]
    use super::rows_of::RowEncoder;

    #[pymodule_export]
    use super::libpq::{load_libpq, rows, shape};

    /// How this module was built: `profile` ("release" or "debug") and `version`.
    #[pyfunction]
    fn build_info() -> std::collections::BTreeMap<&'static str, &'static str> {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        [("profile", profile), ("version", env!("CARGO_PKG_VERSION"))].into()
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        interpreter::only_one(module.py())?;
        let add = |name, oids: &[u32]| {
            module.add(name, pyo3::types::PyFrozenSet::new(module.py(), oids)?)
        };
        add("BINARY_OIDS", types::BINARY_OIDS)?;
        add("TEXT_OIDS", &types::text_oids(module.py())?)?;
        add("ENCODED_OIDS", &types::encoded_oids(module.py())?)
    }
}
