//! The committed reference is what this version of the program writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const MEND: &str = "cargo run -- docs --out docs/src/reference";

/// All files below `dir` by their path in it.
fn files(dir: &Path, prefix: &str, into: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        if path.is_dir() {
            files(&path, &format!("{name}/"), into);
        } else {
            into.insert(name, fs::read_to_string(&path).unwrap_or_default());
        }
    }
}

fn book() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src")
}

#[test]
fn the_committed_reference_is_what_the_program_writes() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_driftless"))
        .args(["docs", "--out"])
        .arg(dir.path())
        .status()
        .unwrap();
    assert!(status.success());
    let (mut made, mut committed) = (BTreeMap::new(), BTreeMap::new());
    files(dir.path(), "", &mut made);
    files(&book().join("reference"), "", &mut committed);
    let stale: Vec<_> = made
        .keys()
        .chain(committed.keys())
        .filter(|name| made.get(*name) != committed.get(*name))
        .collect();
    assert!(stale.is_empty(), "out of date: {stale:?}; run `{MEND}`");
}

#[test]
fn every_page_of_the_book_is_in_its_summary() {
    let summary = fs::read_to_string(book().join("SUMMARY.md")).unwrap();
    let mut pages = BTreeMap::new();
    files(&book(), "", &mut pages);
    let missing: Vec<_> = pages
        .keys()
        .filter(|name| *name != "SUMMARY.md" && !summary.contains(&format!("({name})")))
        .collect();
    assert!(missing.is_empty(), "no line in docs/src/SUMMARY.md for {missing:?}");
    for link in summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(pages.contains_key(link), "docs/src/SUMMARY.md names {link}, which is not there");
    }
}
