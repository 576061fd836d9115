//! Small files and folders under `/sys`, where each file holds one value.

use std::fs;
use std::path::Path;
use std::str::FromStr;

/// The content of a small file, without the space around it; `None` where it is absent or cannot
/// be read. Bytes that are not UTF-8 are replaced.
pub fn text(path: impl AsRef<Path>) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The content of a small file as a number; `None` where it is absent or something else.
pub fn number<N: FromStr>(path: impl AsRef<Path>) -> Option<N> {
    text(path)?.parse().ok()
}

/// The names in a folder, sorted; none where it is absent.
pub fn names(folder: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Those of [`names`] that consist of `prefix` and a number.
pub fn numbered(folder: impl AsRef<Path>, prefix: &str) -> Vec<String> {
    let mut names = names(folder);
    names.retain(|name| {
        let number = name.strip_prefix(prefix).unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_in_a_file_and_what_is_absent_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["cpu10", "cpu9", "cpufreq", "cpu"] {
            fs::write(folder.path().join(name), " 7\n").unwrap();
        }
        assert_eq!(text(folder.path().join("cpu9")).as_deref(), Some("7"));
        assert_eq!(number(folder.path().join("cpu9")), Some(7_u64));
        assert_eq!(number::<u64>(folder.path().join("cpu8")), None);
        assert_eq!(numbered(folder.path(), "cpu"), ["cpu10", "cpu9"]);
        assert!(names(folder.path().join("none")).is_empty());
    }
}
