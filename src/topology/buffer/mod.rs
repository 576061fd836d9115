//! Buffers: what waits on the edge in front of a component, and where.
//!
//! Every edge is a short queue in memory. An edge with a disk buffer has a second one behind it,
//! in files: what arrives is written there and counts as safe for its source once it is synced;
//! a reader takes it from there to the component as a source of its own would, and remembers
//! what was delivered. It survives a crash, and the time that a sink is away.

mod disk;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod leftover;
mod progress;
mod reader;
mod settings;
pub mod status;
mod telemetry;
mod unit;
mod writer;

pub(super) use leftover::{check, report};
pub use settings::{BufferSettings, WhenFull};
pub(super) use telemetry::BufferMetrics;
pub(super) use unit::{Buffer, Reach};

use std::path::{Path, PathBuf};

/// Where the buffers are, below the data directory.
fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("buffers")
}

/// The folder of the buffer in front of the component `name`. What a file name cannot have is
/// written as in a URL, so that two names never mean one folder.
fn folder_of(data_dir: &Path, name: &str) -> PathBuf {
    let mut file_name = String::new();
    for (at, letter) in name.char_indices() {
        match letter {
            '/' => file_name.push_str("%2F"),
            '%' => file_name.push_str("%25"),
            '\0' => file_name.push_str("%00"),
            '.' if at == 0 => file_name.push_str("%2E"),
            letter => file_name.push(letter),
        }
    }
    folder(data_dir).join(file_name)
}

/// The component that a folder's name stands for.
fn component_of(file_name: &str) -> String {
    [("%2F", "/"), ("%00", "\0"), ("%2E", "."), ("%25", "%")]
        .iter()
        .fold(file_name.to_owned(), |name, (written, meant)| name.replace(written, meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_folder_of_its_own_below_the_buffers() {
        for name in ["logs.nginx", "../x", ".", "..", "a/b", "a%2Fb", "a_b", ""] {
            let path = folder_of(Path::new("/data"), name);
            let file_name = path.file_name().unwrap_or_default().to_str().unwrap();
            if !name.is_empty() {
                assert_eq!(path, Path::new("/data/buffers").join(file_name), "{name}");
                assert_eq!(component_of(file_name), name);
            }
        }
    }
}
