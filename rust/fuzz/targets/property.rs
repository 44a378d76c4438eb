//! Looks for bytes that break the property that `PROPERTY` names.
#![no_main]

use properties::Property;
use std::sync::LazyLock;

static HOLDS: LazyLock<Property> = LazyLock::new(|| {
    let name = std::env::var("PROPERTY").expect("PROPERTY names one of rust/properties");
    properties::property(&name)
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| HOLDS(data));
