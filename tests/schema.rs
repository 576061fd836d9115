//! The schemas that editors get: what the program takes conforms to them, what it refuses for its
//! keys does not.

#![cfg(test)]

mod json_schema;

use driftless::config::discover::FileKind;
use driftless::config::schema::file_schema;
use json_schema::faults;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Every config file below `dir`, with its kind.
fn configs(dir: &Path) -> Vec<(FileKind, PathBuf)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(configs(&path));
            continue;
        }
        let named = |path: &Path| {
            let stem = path.file_stem()?.to_str()?;
            FileKind::ALL.into_iter().find(|kind| kind.name() == stem)
        };
        let kind = named(&path).or_else(|| named(path.parent()?));
        let is_config =
            ["yml", "toml", "json"].iter().any(|it| path.extension() == Some(it.as_ref()));
        found.extend(kind.filter(|_| is_config).map(|kind| (kind, path)));
    }
    found
}

fn content(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    match path.extension().unwrap().to_str().unwrap() {
        "toml" => serde_json::to_value(toml::from_str::<toml::Value>(&text).unwrap()).unwrap(),
        _ => serde_yaml::from_str(&text).unwrap(),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_example_and_every_good_config_conforms_to_its_schema() {
    let mut all = configs(&root().join("config-examples"));
    assert!(all.len() >= 5, "the examples are where they were");
    all.extend(configs(&root().join("tests/fixtures/lowering")));
    for (kind, path) in all {
        let found = faults(&file_schema(kind), &content(&path));
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn a_misspelt_key_does_not_conform() {
    for case in [
        "unknown_key_in_a_file",
        "unknown_key_in_a_source",
        "unknown_key_in_each_file",
        "unknown_step",
        "misspelt_common_key",
        "no_paths",
        "no_type",
        "unknown_type",
        "two_types_in_one_output",
        "type_beside_the_settings",
        "bad_size",
    ] {
        for (kind, path) in configs(&root().join("tests/fixtures/bad").join(case)) {
            let found = faults(&file_schema(kind), &content(&path));
            assert!(!found.is_empty(), "{} conforms", path.display());
        }
    }
}

#[test]
fn every_key_of_every_file_is_described() {
    for kind in FileKind::ALL {
        let schema = file_schema(kind);
        let object = schema["anyOf"].get(0).unwrap_or(&schema);
        for (key, part) in object["properties"].as_object().unwrap() {
            assert!(part["description"].is_string(), "{} in {}", key, kind.name());
        }
    }
}
