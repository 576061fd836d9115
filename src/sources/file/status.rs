//! What the checkpoints of file sources say, for somebody who asks from outside. Nothing is
//! locked and nothing written, whether an agent is running or not.

use super::catalog::same_inode_beside;
use super::checkpoint::{Entry, Store};
use super::content::{Content, OpenFiles};
use super::pins::Pins;
use super::unpack::Guess;
use rustix::io::Errno;
use serde::Serialize;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// How far one source is.
#[derive(Debug, Serialize)]
pub struct SourceStatus {
    /// The source's name, as its checkpoint has it.
    pub source: String,
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// When it was last written, in seconds since the epoch.
    pub saved_seconds: Option<u64>,
    /// Why it cannot be read, if so.
    pub problem: Option<String>,
    /// Lines of it that are damaged and count for nothing.
    pub damaged_lines: usize,
    /// The files, by path.
    pub files: Vec<FileStatus>,
}

/// How far one file is.
#[derive(Debug, Serialize)]
pub struct FileStatus {
    /// Where it was last seen under the name that the source knows.
    pub path: String,
    /// How it is.
    pub state: FileState,
    /// Where its content is now, if not at `path`: another name, or a pin in the data directory.
    pub found_at: Option<PathBuf>,
    /// Its size, in bytes; of a compressed file what it takes on disk. `None` where it is gone.
    pub size_bytes: Option<u64>,
    /// Every sink has all before this place.
    pub offset_bytes: u64,
    /// What some sink does not have yet. `None` where that cannot be told: the file is gone, or
    /// compressed, and nobody knows how much is in it before it is read.
    pub lag_bytes: Option<u64>,
    /// When it was last written to, in seconds since the epoch.
    pub modified_seconds: Option<u64>,
    /// When the source last saw it, in seconds since the epoch.
    pub seen_seconds: u64,
    /// How far each sink is.
    pub sinks: Vec<SinkStatus>,
}

/// How far one sink is in one file.
#[derive(Debug, Serialize)]
pub struct SinkStatus {
    /// The sink's name.
    pub sink: String,
    /// It has all before this place.
    pub offset_bytes: u64,
    /// What it does not have yet.
    pub lag_bytes: Option<u64>,
    /// Whether the config has this sink. One that it has not holds nothing back.
    pub configured: bool,
}

/// How a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// At its place.
    Active,
    /// Renamed, and read to its end.
    Rotated,
    /// It has no name any more; the data directory keeps it for a sink that is behind.
    Pinned,
    /// Compressed: offsets count what is in it.
    Compressed,
    /// Shorter than it was, or with another content: it will be read from its beginning.
    Truncated,
    /// It is no longer there, or another file is at its place.
    Gone,
    /// It is there and must not be read.
    Unreadable,
}

/// All sources that have a checkpoint of files, by name. `is_sink` says which sinks there are.
///
/// # Errors
/// Where the folder of checkpoints cannot be read; none at all is no error.
pub fn sources(data_dir: &Path, is_sink: &dyn Fn(&str) -> bool) -> io::Result<Vec<SourceStatus>> {
    let dir = data_dir.join("checkpoints");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // What is being written beside the one that counts.
        if !name.ends_with(".new") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.iter().filter_map(|name| source(data_dir, name, is_sink)).collect())
}

/// One source; `None` where its checkpoint is not one of files.
fn source(data_dir: &Path, name: &str, is_sink: &dyn Fn(&str) -> bool) -> Option<SourceStatus> {
    let store = Store::new(data_dir, name, true);
    let checkpoint = store.path().to_owned();
    if is_of_another_kind(&checkpoint) {
        return None;
    }
    let saved_seconds = fs::metadata(&checkpoint).ok().as_ref().and_then(modified_seconds);
    let (loaded, problem) = match store.load() {
        Ok(loaded) => (loaded, None),
        Err(error) => (Default::default(), Some(error.to_string())),
    };
    let pins = Pins::new(data_dir, name, true);
    let mut files: Vec<FileStatus> =
        loaded.entries.iter().map(|entry| file(entry, &pins, is_sink)).collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let source = name.to_owned();
    let damaged_lines = loaded.damaged;
    Some(SourceStatus { source, checkpoint, saved_seconds, problem, damaged_lines, files })
}

/// Sources without files keep one JSON value here.
fn is_of_another_kind(checkpoint: &Path) -> bool {
    let bytes = fs::read(checkpoint).unwrap_or_default();
    bytes.first() == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok()
}

fn file(entry: &Entry, pins: &Pins, is_sink: &dyn Fn(&str) -> bool) -> FileStatus {
    let found = Found::look(entry, pins);
    let lag = |offset: u64| match found.state {
        FileState::Compressed | FileState::Gone => None,
        FileState::Truncated => found.size_bytes,
        _ => found.size_bytes.map(|size| size.saturating_sub(offset)),
    };
    let sinks: Vec<SinkStatus> = entry
        .sinks
        .iter()
        .map(|(sink, position)| SinkStatus {
            sink: sink.clone(),
            offset_bytes: position.offset,
            lag_bytes: lag(position.offset),
            configured: is_sink(sink),
        })
        .collect();
    let counts = sinks.iter().filter(|sink| sink.configured);
    let lowest = counts.map(|sink| sink.offset_bytes).min();
    // Where the config has none of them, nobody waits for anything.
    let highest = sinks.iter().map(|sink| sink.offset_bytes).max();
    let offset_bytes = lowest.or(highest).unwrap_or(0);
    FileStatus {
        path: entry.path.to_string_lossy().into_owned(),
        state: found.state,
        found_at: found.at.filter(|at| *at != entry.path),
        size_bytes: found.size_bytes,
        offset_bytes,
        lag_bytes: lag(offset_bytes),
        modified_seconds: found.modified_seconds,
        seen_seconds: entry.seen,
        sinks,
    }
}

/// Where a file is now, and how.
struct Found {
    state: FileState,
    at: Option<PathBuf>,
    size_bytes: Option<u64>,
    modified_seconds: Option<u64>,
}

impl Found {
    fn look(entry: &Entry, pins: &Pins) -> Self {
        let beside = || same_inode_beside(&entry.path, entry.inode);
        let places = [
            (Some(entry.path.clone()), FileState::Active),
            (pins.place(entry.key), FileState::Pinned),
        ];
        let places = places.into_iter().filter_map(|(place, state)| Some((place?, state)));
        let renamed = std::iter::once_with(beside).flatten();
        for (place, state) in places.chain(renamed.map(|place| (place, FileState::Rotated))) {
            let Some(about) = fs::metadata(&place).ok().filter(|about| about.ino() == entry.inode)
            else {
                continue;
            };
            let state = if entry.rotated && state == FileState::Active {
                FileState::Rotated
            } else {
                state
            };
            return Self {
                state: now(entry, &place, about.len()).unwrap_or(state),
                at: Some(place),
                size_bytes: Some(about.len()),
                modified_seconds: modified_seconds(&about),
            };
        }
        Self { state: FileState::Gone, at: None, size_bytes: None, modified_seconds: None }
    }
}

/// What there is to say of a file beside its place.
fn now(entry: &Entry, place: &Path, size: u64) -> Option<FileState> {
    let mut content = match Content::open(place, &OpenFiles::default()) {
        Ok((content, _)) => content,
        Err(Errno::ACCESS | Errno::PERM) => return Some(FileState::Unreadable),
        // It went away while we looked.
        Err(_) => return Some(FileState::Gone),
    };
    if let Ok(Guess::Packed(_)) = content.packing() {
        return Some(FileState::Compressed);
    }
    let is_short = entry.sinks.iter().any(|(_, position)| position.offset > size);
    let is_other = is_short
        || !entry.fingerprint.holds(&mut content)
        || entry.sinks.iter().any(|(_, position)| !position.holds(&mut content));
    is_other.then_some(FileState::Truncated)
}

fn modified_seconds(about: &fs::Metadata) -> Option<u64> {
    Some(about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::file::position::{Fingerprint, Position, checksum};
    use proptest::prelude::*;

    /// A data directory with a checkpoint of `name` that has these entries.
    fn checkpoint(data: &Path, name: &str, entries: &[Entry]) {
        Store::new(data, name, true).replace(entries.iter()).unwrap();
    }

    fn entry(key: u64, path: &Path, sinks: &[(&str, usize)]) -> Entry {
        let about = fs::metadata(path).unwrap();
        let text = fs::read(path).unwrap();
        let bytes = text.len().min(1024);
        Entry {
            key,
            content: 0,
            path: path.to_owned(),
            device: about.dev(),
            inode: about.ino(),
            fingerprint: Fingerprint { bytes: bytes as u64, sum: checksum(&text[..bytes]) },
            rotated: false,
            seen: 1_700_000_000,
            sinks: sinks
                .iter()
                .map(|(name, at)| ((*name).to_owned(), Position::after(*at as u64, &text[..*at])))
                .collect(),
        }
    }

    fn only(data: &Path) -> FileStatus {
        let mut sources = sources(data, &|sink| sink != "old").unwrap();
        assert_eq!(sources.len(), 1);
        let mut source = sources.remove(0);
        assert_eq!((source.damaged_lines, source.files.len()), (0, 1));
        source.files.remove(0)
    }

    #[test]
    fn the_slowest_sink_of_the_config_says_how_far_a_file_is() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("app.log");
        fs::write(&log, "0123456789").unwrap();
        let data = dir.path().join("data");
        checkpoint(&data, "app", &[entry(1, &log, &[("fast", 10), ("slow", 4), ("old", 0)])]);
        let file = only(&data);
        let seen = (file.state, file.size_bytes, file.offset_bytes, file.lag_bytes);
        assert_eq!(seen, (FileState::Active, Some(10), 4, Some(6)));
        let lags: Vec<_> = file.sinks.iter().map(|it| (it.lag_bytes, it.configured)).collect();
        assert_eq!(lags, [(Some(0), true), (Some(6), true), (Some(10), false)]);
    }

    #[test]
    fn a_file_is_found_wherever_it_went() {
        let dir = tempfile::tempdir().unwrap();
        let (log, data) = (dir.path().join("app.log"), dir.path().join("data"));
        fs::write(&log, "0123456789").unwrap();
        checkpoint(&data, "app", &[entry(7, &log, &[("out", 4)])]);
        let rotated = dir.path().join("app.log.1");
        fs::rename(&log, &rotated).unwrap();
        fs::write(&log, "another file").unwrap();
        let file = only(&data);
        let seen = (file.state, file.found_at.as_deref(), file.lag_bytes);
        assert_eq!(seen, (FileState::Rotated, Some(&*rotated), Some(6)));
        let pin = data.join("pins/app/7");
        fs::create_dir_all(pin.parent().unwrap()).unwrap();
        fs::rename(&rotated, &pin).unwrap();
        let file = only(&data);
        let seen = (file.state, file.found_at.as_deref(), file.lag_bytes);
        assert_eq!(seen, (FileState::Pinned, Some(&*pin), Some(6)));
        fs::remove_file(&pin).unwrap();
        let file = only(&data);
        let seen = (file.state, file.size_bytes, file.offset_bytes, file.lag_bytes);
        assert_eq!(seen, (FileState::Gone, None, 4, None));
    }

    #[test]
    fn what_was_cut_or_rewritten_will_be_read_from_its_beginning() {
        for content in ["01", "9876543210 and more"] {
            let dir = tempfile::tempdir().unwrap();
            let (log, data) = (dir.path().join("app.log"), dir.path().join("data"));
            fs::write(&log, "0123456789").unwrap();
            checkpoint(&data, "app", &[entry(1, &log, &[("out", 8)])]);
            fs::write(&log, content).unwrap();
            let file = only(&data);
            let expected = (FileState::Truncated, Some(content.len() as u64));
            assert_eq!((file.state, file.lag_bytes), expected);
        }
    }

    #[test]
    fn of_a_compressed_file_nobody_knows_how_much_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (log, data) = (dir.path().join("app.log.gz"), dir.path().join("data"));
        fs::write(&log, [0x1f, 0x8b, 8, 0, 0, 0]).unwrap();
        let known = Entry {
            sinks: vec![("out".to_owned(), Position { offset: 5000, anchor: 1 })],
            ..entry(1, &log, &[])
        };
        checkpoint(&data, "app", &[known]);
        let file = only(&data);
        let seen = (file.state, file.offset_bytes, file.lag_bytes);
        assert_eq!(seen, (FileState::Compressed, 5000, None));
    }

    #[test]
    fn checkpoints_of_other_sources_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("checkpoints")).unwrap();
        fs::write(dir.path().join("checkpoints/journal"), "{\"cursor\":\"s=1\"}").unwrap();
        fs::write(dir.path().join("checkpoints/app.new"), "half a").unwrap();
        assert!(sources(dir.path(), &|_| true).unwrap().is_empty());
        assert!(sources(&dir.path().join("none"), &|_| true).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn no_content_of_a_checkpoint_is_too_much(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            has_header: bool,
        ) {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("checkpoints")).unwrap();
            let mut all = if has_header { b"driftless checkpoint 2\n".to_vec() } else { Vec::new() };
            all.extend(bytes);
            fs::write(dir.path().join("checkpoints/app"), &all).unwrap();
            let sources = sources(dir.path(), &|_| true).unwrap();
            let damaged: usize = sources.iter().map(|source| source.damaged_lines).sum();
            let text = all.strip_prefix(b"driftless checkpoint 2\n").unwrap_or(&all);
            let has_text = text.iter().any(|byte| *byte != b'\n');
            prop_assert!(damaged > 0 || !has_text && has_header);
        }
    }
}
