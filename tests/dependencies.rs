//! Every direct dependency is listed with its reason, and nothing else is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> std::io::Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
}

#[test]
fn each_direct_dependency_has_its_reason() {
    let manifest: toml::Table = read("Cargo.toml").unwrap().parse().unwrap();
    let declared: BTreeSet<String> = ["dependencies", "dev-dependencies"]
        .iter()
        .filter_map(|part| manifest.get(*part)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect();
    let page = read("docs/dependencies.md").unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")).skip(1);
    let explained: BTreeSet<String> = rows
        .map(|row| row.split(" | ").map(str::trim).collect::<Vec<_>>())
        .inspect(|cells| assert_eq!(cells.len(), 3, "{cells:?}: crate, what for, why"))
        .map(|cells| cells[0].to_owned())
        .collect();
    let missing: Vec<_> = declared.difference(&explained).collect();
    let gone: Vec<_> = explained.difference(&declared).collect();
    assert!(missing.is_empty(), "docs/dependencies.md does not explain {missing:?}");
    assert!(gone.is_empty(), "docs/dependencies.md explains {gone:?}, which Cargo.toml has not");
}
