//! What all fuzz targets have in common: the bodies are `driftless::hostile`'s.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Lets a target begin with good input.
pub fn sow(name: &str) {
    driftless::hostile::sow(name, &Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name));
}

/// Runs a target.
pub fn run(name: &str, input: &[u8]) {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    let scratch = SCRATCH.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        dir.join(format!("driftless-fuzz-{}", std::process::id()))
    });
    driftless::hostile::run(name, input, scratch);
}
