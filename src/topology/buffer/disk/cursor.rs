//! The cursor: up to where each sink has the content of a buffer. A small file beside the
//! segments, replaced as a whole, with a checksum.

use crate::host::state_file;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

const HEADER: &str = "driftless buffer 1";

/// How far the sinks are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::topology::buffer) struct Cursor {
    /// All sinks have every frame below this number.
    pub(in crate::topology::buffer) settled: u64,
    /// Sinks that have more than that, by name.
    pub(in crate::topology::buffer) ahead: Vec<(String, u64)>,
}

impl Cursor {
    /// No frame from this number on is known to any sink.
    pub(in crate::topology::buffer) fn highest(&self) -> u64 {
        self.ahead.iter().map(|(_, number)| *number).fold(self.settled, u64::max)
    }

    /// Reads it. `None` where there is one that makes no sense; the buffer is then read from its
    /// beginning.
    pub(in crate::topology::buffer) fn load(dir: &Path) -> io::Result<Option<Self>> {
        match fs::read(dir.join("cursor")) {
            Ok(bytes) => Ok(Self::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(Self::default())),
            Err(error) => Err(error),
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (header, rest) = text.split_once('\n')?;
        let (sum, json) = rest.trim_end().split_once(' ')?;
        let sum = u32::from_str_radix(sum, 16).ok()?;
        if header != HEADER || sum != crc32fast::hash(json.as_bytes()) {
            return None;
        }
        serde_json::from_str(json).ok()
    }

    /// Replaces it. After a crash there is the old or the new one.
    pub(in crate::topology::buffer) fn save(&self, dir: &Path) -> io::Result<()> {
        let json = serde_json::to_string(self)?;
        let text = format!("{HEADER}\n{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        state_file::replace(&dir.join("cursor"), text.as_bytes()).map(drop)
    }
}
