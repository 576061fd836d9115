//! What udev has written down about a block device: model, serial number, file system.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A device's properties, such as `ID_MODEL`.
pub type Properties = HashMap<String, String>;

/// udev's notes on block devices, each read again only when udev has replaced it.
#[derive(Debug)]
pub struct Udev {
    directory: PathBuf,
    known: HashMap<(u32, u32), Note>,
}

#[derive(Debug)]
struct Note {
    /// Inode and time of change, which tell one version of a note from the next.
    version: (u64, i64, i64),
    properties: Properties,
}

impl Udev {
    /// Reads below `directory`, `/run/udev/data` on a live host.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), known: HashMap::new() }
    }

    /// The properties of the block device `major:minor`; `None` where udev knows nothing of it or
    /// does not run.
    pub fn block_device(&mut self, major: u32, minor: u32) -> Option<&Properties> {
        let path = self.directory.join(format!("b{major}:{minor}"));
        let Ok(metadata) = fs::metadata(&path) else {
            self.known.remove(&(major, minor));
            return None;
        };
        let version = (metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
        let known = self.known.get(&(major, minor)).is_some_and(|note| note.version == version);
        if !known {
            let properties = parse(&String::from_utf8_lossy(&fs::read(&path).ok()?));
            self.known.insert((major, minor), Note { version, properties });
        }
        self.known.get(&(major, minor)).map(|note| &note.properties)
    }
}

/// The lines `E:NAME=value`; the other lines are links and tags.
fn parse(note: &str) -> Properties {
    let properties = note.lines().filter_map(|line| line.strip_prefix("E:")?.split_once('='));
    properties.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_udev_replaces_is_read_again_and_one_that_goes_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let mut udev = Udev::new(directory.path());
        let path = directory.path().join("b8:0");
        assert_eq!(udev.block_device(8, 0), None);
        for model in ["one=two", "another"] {
            let new = directory.path().join("new");
            fs::write(&new, format!("S:disk/by-id/x\nE:ID_MODEL={model}\n")).unwrap();
            fs::rename(&new, &path).unwrap();
            assert_eq!(udev.block_device(8, 0).unwrap()["ID_MODEL"], model);
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(udev.block_device(8, 0), None);
    }
}
