//! The short forms and the graphs that they stand for: the files above, the graph below.

#![cfg(test)]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn graph(dir: &Path, paths: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_driftless"))
        .arg("graph")
        .args(paths)
        .current_dir(dir)
        .env("HOME", "/nonexistent")
        .output()
        .unwrap()
}

/// All files below `dir`, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path()).collect();
    entries.sort();
    let below = entries.into_iter().flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    });
    below.collect()
}

#[test]
fn every_short_form_stands_for_its_graph() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lowering");
    for entry in fs::read_dir(root).unwrap() {
        let dir = entry.unwrap().path();
        let mut golden = String::new();
        for file in files(&dir) {
            let name = file.strip_prefix(&dir).unwrap().display();
            write!(golden, "# {name}\n{}\n", fs::read_to_string(&file).unwrap()).unwrap();
        }
        let output = graph(&dir, &["."]);
        write!(golden, "----------\n{}", String::from_utf8(output.stdout).unwrap()).unwrap();
        golden.push_str(&String::from_utf8(output.stderr).unwrap());
        let name = dir.file_name().unwrap().to_str().unwrap();
        assert!(output.status.success(), "{name}: {golden}");
        insta::assert_snapshot!(name.to_owned(), golden);
    }
}

#[test]
fn two_paths_are_one_config() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["common", "host"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    let logs = "sources: {a: {paths: [/a]}}\n";
    fs::write(dir.path().join("common/logs.yml"), logs).unwrap();
    fs::write(dir.path().join("host/logs.yml"), "outputs: {out: console}\n").unwrap();
    let output = graph(dir.path(), &["common", "host"]);
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
    source    logs.a (file)
    sink      logs.out (console)  ← logs.a
    ");
    fs::write(dir.path().join("host/logs.yml"), logs).unwrap();
    let complaint = String::from_utf8(graph(dir.path(), &["common", "host"]).stderr).unwrap();
    assert!(complaint.contains("host/logs.yml:1:11: `a` is defined twice"), "{complaint}");
    assert!(complaint.contains("common/logs.yml:1:11: the first definition"), "{complaint}");
}
