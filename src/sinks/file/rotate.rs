//! Rotation: `app.log` becomes `app.log.1`, that one `app.log.2`, and the oldest goes.

use crate::topology::settings::{ByteSize, Period};
use schemars::JsonSchema;
use serde::Deserialize;
use std::fs;
use std::io;
use std::time::Duration;

/// When a file is put aside for a new one, and how many of the old ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Before a write would make it larger than this, measured as stored. One write (`batch`) that
    /// is larger by itself gets a file of its own.
    #[serde(default)]
    pub size: Option<ByteSize>,
    /// Before the first write after it has become this old, counted from its creation.
    #[serde(default)]
    pub age: Option<Period>,
    /// Old files to keep: `NAME.1` is the latest of them, `NAME.2` the one before. From 1 to 1000.
    #[serde(default = "default_keep")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep: u32,
}

fn default_keep() -> u32 {
    7
}

impl Rotate {
    /// What is wrong with the settings.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.size.is_none() && self.age.is_none() {
            return Err("`rotate` says neither `size` nor `age`, so nothing would rotate".into());
        }
        if self.size.is_some_and(|size| size.0 == 0) {
            return Err("`rotate`: `size` is 0".to_owned());
        }
        if self.age.is_some_and(|age| age.0 == Duration::ZERO) {
            return Err("`rotate`: `age` is 0".to_owned());
        }
        if !(1..=1000).contains(&self.keep) {
            return Err(format!("`rotate`: `keep` is {}, expected 1 to 1000", self.keep));
        }
        Ok(())
    }

    /// Whether a file of `bytes` that is this old goes before `coming` more are written.
    pub(super) fn is_due(&self, bytes: u64, age: Duration, coming: u64) -> bool {
        let too_large = self.size.is_some_and(|size| bytes.saturating_add(coming) > size.0);
        let too_old = self.age.is_some_and(|most| age >= most.0);
        bytes > 0 && (too_large || too_old)
    }

    /// Puts the file at `path` aside. The oldest files are moved first, so that a crash in between
    /// leaves a gap in the numbers and takes no file away.
    pub(super) fn put_aside(&self, path: &str) -> io::Result<()> {
        let name = |number: u32| format!("{path}.{number}");
        let is_free = |number: &u32| fs::symlink_metadata(name(*number)).is_err();
        let free = (1..=self.keep).find(is_free).unwrap_or(self.keep);
        for number in (1..free).rev() {
            fs::rename(name(number), name(number + 1))?;
        }
        fs::rename(path, name(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_when_it_would_be_too_large_or_is_too_old() {
        let rotate = |size, age| Rotate {
            size: Some(ByteSize(size)),
            age: Some(Period(Duration::from_secs(age))),
            keep: 1,
        };
        let young = Duration::from_secs(1);
        assert!(!rotate(100, 60).is_due(90, young, 10));
        assert!(rotate(100, 60).is_due(90, young, 11));
        assert!(!rotate(100, 60).is_due(0, young, 200), "an empty file has room for anything");
        assert!(rotate(100, 60).is_due(1, Duration::from_secs(60), 1));
        assert!(!rotate(100, 60).is_due(0, Duration::from_secs(60), 1));
    }

    #[test]
    fn the_oldest_goes_and_a_gap_is_filled_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let path = path.to_str().unwrap();
        let rotate = Rotate { size: None, age: None, keep: 3 };
        let held = || {
            let read = |name: String| fs::read_to_string(name).unwrap_or_default();
            (1..=4).map(|number| read(format!("{path}.{number}"))).collect::<Vec<_>>()
        };
        for number in 1..=5 {
            fs::write(path, number.to_string()).unwrap();
            rotate.put_aside(path).unwrap();
        }
        assert_eq!(held(), ["5", "4", "3", ""]);
        fs::remove_file(format!("{path}.2")).unwrap();
        fs::write(path, "6").unwrap();
        rotate.put_aside(path).unwrap();
        assert_eq!(held(), ["6", "5", "3", ""]);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let rotate = Rotate { size: Some(ByteSize(1)), age: None, keep: 1 };
        assert!(rotate.check().is_ok());
        assert!(Rotate { size: None, ..rotate }.check().is_err());
        assert!(Rotate { size: Some(ByteSize(0)), ..rotate }.check().is_err());
        assert!(Rotate { age: Some(Period(Duration::ZERO)), ..rotate }.check().is_err());
        assert!(Rotate { keep: 0, ..rotate }.check().is_err());
    }
}
