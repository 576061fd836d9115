//! What the disk buffers hold, for somebody who asks from outside. Nothing is locked and nothing
//! written, whether an agent is running or not.

use super::disk::{Cursor, Waiting, segments_in, waiting};
use super::{component_of, folder};
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What one buffer holds.
#[derive(Debug, Default, Serialize)]
pub struct BufferStatus {
    /// The component that it is in front of.
    pub component: String,
    /// Its folder.
    pub directory: PathBuf,
    /// Files that hold what is buffered.
    pub segments: u64,
    /// Their length, in bytes.
    pub disk_bytes: u64,
    /// Batches that some sink does not have yet.
    pub waiting_frames: u64,
    /// Records and samples in them.
    pub waiting_events: u64,
    /// Their length, in bytes.
    pub waiting_bytes: u64,
    /// Damaged files that were put aside, and ones that cannot be read.
    pub damaged_segments: u64,
    /// Why part of this could not be found out, if so.
    pub problem: Option<String>,
}

/// All buffers, by component.
///
/// # Errors
/// Where the folder of buffers cannot be read; none at all is no error.
pub fn buffers(data_dir: &Path) -> io::Result<Vec<BufferStatus>> {
    let entries = match fs::read_dir(folder(data_dir)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut buffers = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let component = component_of(&entry.file_name().to_string_lossy());
            buffers.push(buffer(component, entry.path()));
        }
    }
    buffers.sort_by(|one, other| one.component.cmp(&other.component));
    Ok(buffers)
}

fn buffer(component: String, directory: PathBuf) -> BufferStatus {
    let mut status = BufferStatus { component, ..BufferStatus::default() };
    let settled = match Cursor::load(&directory) {
        Ok(Some(cursor)) => cursor.settled,
        Ok(None) => {
            status.problem = Some("the cursor is damaged; all is sent again".to_owned());
            0
        }
        Err(error) => {
            status.problem = Some(error.to_string());
            0
        }
    };
    match segments_in(&directory) {
        Ok(firsts) => firsts.iter().for_each(|first| status.add(&directory, *first, settled)),
        Err(error) => status.problem = Some(error.to_string()),
    }
    let aside = segments_in(&directory.join("damaged")).map_or(0, |aside| aside.len());
    status.damaged_segments += aside as u64;
    status.directory = directory;
    status
}

impl BufferStatus {
    fn add(&mut self, directory: &Path, first: u64, settled: u64) {
        match waiting(directory, first, settled) {
            Ok(Waiting { disk_bytes, frames, events, bytes, is_sound }) => {
                self.segments += 1;
                self.disk_bytes += disk_bytes;
                self.waiting_frames += frames;
                self.waiting_events += events;
                self.waiting_bytes += bytes;
                self.damaged_segments += u64::from(!is_sound);
            }
            // The agent has removed it meanwhile, since it is delivered.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                self.segments += 1;
                self.damaged_segments += 1;
                self.problem = Some(error.to_string());
            }
        }
    }
}
