//! Files and directories under names that nobody knows beforehand.

use super::Machine;
use super::fault::Fault;
use super::mode::Mode;
use super::path::Follow;
use super::write::{Attributes, WriteOptions};
use bytes::Bytes;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporary {
    /// An empty file that only its owner can read.
    File,
    /// A directory that only its owner can enter.
    Directory,
}

impl Machine {
    /// Makes something new in `directory` whose name begins and ends as given. A dry run makes
    /// nothing and knows no name: `None`.
    ///
    /// Errors: what stands in the way of making it.
    pub fn make_temporary(
        &mut self,
        what: Temporary,
        directory: &Path,
        prefix: &str,
        suffix: &str,
    ) -> Result<Option<PathBuf>, Fault> {
        if prefix.contains('/') || suffix.contains('/') {
            return Err(Fault::new("the beginning and the end of a name hold no `/`"));
        }
        let path = loop {
            let path = directory.join(format!("{prefix}{}{suffix}", unguessable()));
            if self.stat(&path, Follow::No)?.is_none() {
                break path;
            }
        };
        let mode = |bits| Some(Mode::Exact(bits));
        let make = |machine: &mut Self| match what {
            Temporary::File => {
                let attributes = Attributes { mode: mode(0o600), ..Attributes::default() };
                let options = WriteOptions::default();
                machine.write_file(&path, &Bytes::new(), &attributes, &options).map(drop)
            }
            Temporary::Directory => {
                let attributes = Attributes { mode: mode(0o700), ..Attributes::default() };
                machine.mkdir(&path, &attributes)
            }
        };
        if self.is_dry_run() {
            self.without_effect(make).0?;
            return Ok(None);
        }
        make(self)?;
        Ok(Some(path))
    }
}

/// Eight letters. The hasher's keys come from the kernel's random numbers.
fn unguessable() -> String {
    let mut number = RandomState::new().hash_one(0_u8);
    let letter = || {
        let letter = b"abcdefghijklmnopqrstuvwxyz012345"[(number % 32) as usize];
        number /= 32;
        char::from(letter)
    };
    std::iter::repeat_with(letter).take(8).collect()
}
