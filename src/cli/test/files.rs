//! Which files hold the tests, and which config each of them is about.

use super::Args;
use crate::config::read::Format;
use crate::event::fault::Diagnostic;
use std::path::{Path, PathBuf};

/// The folder of a config that holds its tests.
const FOLDER: &str = "tests";

/// A file of tests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestPath {
    pub(super) path: PathBuf,
    /// The config that it is about, unless it says another one.
    pub(super) config: PathBuf,
}

/// The files that the arguments name; those of the config where they name none.
pub(super) fn test_files(args: &Args, standard: &Path) -> Result<Vec<TestPath>, Vec<Diagnostic>> {
    let config = args.config.as_deref();
    if args.files.is_empty() {
        let config = config.unwrap_or(standard);
        let dir = if config.is_dir() { config } else { parent(config) };
        return folder(&dir.join(FOLDER), config);
    }
    let mut found = Vec::new();
    let mut complaints = Vec::new();
    for path in &args.files {
        let inner = path.join(FOLDER);
        let more = match () {
            () if inner.is_dir() => folder(&inner, config.unwrap_or(path)),
            () if path.is_dir() => folder(path, config.unwrap_or(tested_by(path))),
            () => {
                let config = config.unwrap_or_else(|| tested_by(parent(path))).to_owned();
                Ok(vec![TestPath { path: path.clone(), config }])
            }
        };
        match more {
            Ok(more) => found.extend(more),
            Err(more) => complaints.extend(more),
        }
    }
    if complaints.is_empty() { Ok(found) } else { Err(complaints) }
}

/// The files of tests in a folder, in the order of their names.
fn folder(dir: &Path, config: &Path) -> Result<Vec<TestPath>, Vec<Diagnostic>> {
    let complaint = |message: String| vec![Diagnostic::new(message, None)];
    let listed = dir.read_dir().and_then(|entries| {
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()
    });
    let mut paths = match listed {
        Ok(paths) => paths,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut none = complaint(format!("`{}`: there is no such folder", dir.display()));
            none[0].hint = Some("tests of a config are files in its folder `tests`".to_owned());
            return Err(none);
        }
        Err(error) => {
            return Err(complaint(format!("`{}` cannot be listed: {error}", dir.display())));
        }
    };
    let is_hidden = |path: &Path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    paths.retain(|path| !is_hidden(path) && Format::of(path).is_some() && !path.is_dir());
    paths.sort();
    if paths.is_empty() {
        return Err(complaint(format!("`{}` holds no file of tests", dir.display())));
    }
    // `./tests/a.yml` is `tests/a.yml` to whoever reads of it.
    let shown = |path: PathBuf| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path);
    let test = |path: PathBuf| TestPath { path: shown(path), config: config.to_owned() };
    Ok(paths.into_iter().map(test).collect())
}

/// The config that the tests in this directory are about: the one that has it as its folder
/// `tests`, else what stands beside them.
fn tested_by(dir: &Path) -> &Path {
    let is_folder = |dir: &&Path| dir.file_name().is_some_and(|name| name == FOLDER);
    match dir.ancestors().find(is_folder) {
        Some(folder) => parent(folder),
        None => dir,
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn args(config: Option<&Path>, files: &[&Path]) -> Args {
        Args {
            config: config.map(Path::to_owned),
            files: files.iter().map(|file| file.to_path_buf()).collect(),
            name: None,
            output: Default::default(),
        }
    }

    #[test]
    fn tests_belong_to_the_config_that_they_stand_in() {
        let dir = tempfile::tempdir().unwrap();
        let (config, folder) = (dir.path().join("web"), dir.path().join("web/tests"));
        fs::create_dir_all(&folder).unwrap();
        for name in ["b.yml", "a.toml", "README.md", ".hidden.yml"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let expected: Vec<_> = ["a.toml", "b.yml"]
            .map(|name| TestPath { path: folder.join(name), config: config.clone() })
            .into();
        let found = |args: &Args| test_files(args, &config).unwrap();
        assert_eq!(found(&args(None, &[])), expected, "the standard config's");
        assert_eq!(found(&args(None, &[&config])), expected, "a config's");
        assert_eq!(found(&args(None, &[&folder])), expected, "a folder's");
        let one = folder.join("b.yml");
        assert_eq!(found(&args(None, &[&one])), expected[1..], "one alone");
        let other = dir.path().join("other");
        assert_eq!(found(&args(Some(&other), &[&one]))[0].config, other, "--config goes before");
        let lone = dir.path().join("lone.yml");
        assert_eq!(found(&args(None, &[&lone]))[0].config, dir.path(), "what stands beside it");
    }

    #[test]
    fn a_config_without_tests_is_no_success() {
        let dir = tempfile::tempdir().unwrap();
        let complaints = test_files(&args(None, &[]), dir.path()).unwrap_err();
        assert!(complaints[0].message.contains("no such folder"), "{complaints:?}");
        fs::create_dir(dir.path().join("tests")).unwrap();
        let complaints = test_files(&args(None, &[]), dir.path()).unwrap_err();
        assert!(complaints[0].message.contains("no file of tests"), "{complaints:?}");
    }
}
