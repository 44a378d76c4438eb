//! Every file that fuzzing kept, read again with the property that it was kept for.
#![allow(missing_docs)]

use properties::PROPERTIES;
use std::{fs, path::Path};

#[test]
fn every_file_of_every_corpus() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, property) in PROPERTIES {
        let corpus = corpora.join(name);
        let files = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{corpus:?}: {error}"));
        let paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(!paths.is_empty(), "{corpus:?} is empty");
        for path in paths {
            println!("{path:?}"); // shown when the property panics
            property(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn every_corpus_has_its_property() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for corpus in fs::read_dir(corpora).unwrap() {
        let name = corpus.unwrap().file_name();
        let known = |(property, _): &(&str, _)| name == *property;
        assert!(PROPERTIES.iter().any(known), "{name:?} is no property");
    }
}
