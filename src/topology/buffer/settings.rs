//! `buffer`: what a config says about the edge in front of a component.

use crate::topology::edge::EdgeLimits;
use crate::topology::settings::{ByteSize, Period};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// A smaller disk buffer would be full with a few reads of a file.
const SMALLEST_DISK_BYTES: u64 = 1 << 20;

/// What waits in front of a component, where, and what happens when there is too much of it.
///
/// A `memory` buffer is a short queue: a full one holds back the source, which reads again after
/// a restart what was in it. A `disk` buffer lies in `data_dir/buffers/NAME`; what it has taken
/// survives a crash, so that the source counts it as safe and goes on while the sink is away.
///
/// ```yaml
/// sinks:
///   central:
///     type: http
///     inputs: [app]
///     url: https://logs.example.com/in
///     buffer: {type: disk, max_bytes: 5GiB}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BufferSettings {
    /// Where it lies.
    #[serde(default, rename = "type")]
    pub place: Place,
    /// How much it may hold: 1MiB in memory and 1GiB on disk unless this says otherwise. On disk
    /// it is the size of all its files but the cursor, a few hundred bytes, and those in
    /// `damaged/`; at least 1MiB.
    #[serde(default)]
    pub max_bytes: Option<ByteSize>,
    /// How many batches a memory buffer may hold; 16 unless this says otherwise. A batch is what
    /// a source reads at a time, up to 512KiB of a file.
    #[serde(default)]
    pub max_batches: Option<usize>,
    /// What happens to a batch that finds it full, or the disk that it lies on.
    #[serde(default)]
    pub when_full: WhenFull,
    /// How long what was written to disk may wait for others to be made safe (fsync) together
    /// with it, 500ms unless this says otherwise; 8MiB do not wait. A source counts a batch as
    /// taken only after that; the way to the sink does not wait for it.
    #[serde(default)]
    pub sync: Option<Period>,
}

/// Where a buffer lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In memory.
    #[default]
    Memory,
    /// In files.
    Disk,
}

/// What happens to a batch that finds the buffer full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It waits, and holds back the source and all other branches that read from it.
    #[default]
    Block,
    /// It is dropped, and counted with the reason `buffer_full`. Its siblings on other branches
    /// go on.
    DropNewest,
}

impl BufferSettings {
    /// Whether there is nothing in it that says more than silence does.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it lies on disk.
    pub fn is_disk(&self) -> bool {
        self.place == Place::Disk
    }

    /// What is wrong with it, in the words of a config.
    ///
    /// # Errors
    /// Settings that do not fit each other, or sizes that are too small.
    pub fn check(&self) -> Result<(), String> {
        match self.place {
            Place::Memory if self.sync.is_some() => {
                Err("`sync` is for a buffer with `type: disk`".to_owned())
            }
            Place::Disk if self.max_batches.is_some() => {
                Err("`max_batches` is for a buffer in memory; `max_bytes` bounds one on disk"
                    .to_owned())
            }
            Place::Disk if self.disk_bytes() < SMALLEST_DISK_BYTES => Err(format!(
                "`max_bytes` is {}; a buffer on disk has 1MiB at least",
                ByteSize(self.disk_bytes())
            )),
            Place::Memory if self.max_batches == Some(0) || self.max_bytes == Some(ByteSize(0)) => {
                Err("a buffer that may hold nothing lets nothing pass".to_owned())
            }
            Place::Memory | Place::Disk => Ok(()),
        }
    }

    /// The limits of the queue in memory.
    pub(in crate::topology) fn edge_limits(&self) -> EdgeLimits {
        let mut limits = EdgeLimits::default();
        if !self.is_disk() {
            limits.bytes = self.max_bytes.map_or(limits.bytes, ByteSize::as_usize);
            limits.batches = self.max_batches.unwrap_or(limits.batches);
            limits.when_full = self.when_full;
        }
        limits
    }

    /// How large the files may be.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.max_bytes.map_or(1 << 30, |size| size.0)
    }

    /// How long what was written may wait to be synced.
    pub(super) fn sync_after(&self) -> Duration {
        self.sync.map_or(Duration::from_millis(500), |period| period.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_do_not_fit_each_other_are_refused() {
        let read = |text: &str| serde_json::from_str::<BufferSettings>(text).unwrap().check();
        for right in
            ["{}", r#"{"type": "disk"}"#, r#"{"max_bytes": 1000}"#, r#"{"max_batches": 1}"#]
        {
            assert!(read(right).is_ok(), "{right}");
        }
        for wrong in [
            r#"{"type": "disk", "max_bytes": 1000}"#,
            r#"{"type": "disk", "max_batches": 5}"#,
            r#"{"max_batches": 0}"#,
            r#"{"sync": "1s"}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
