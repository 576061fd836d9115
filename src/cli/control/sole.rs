//! One agent alone keeps its state in a data directory: two would undo each other's marks.

use super::socket;
use crate::event::fault::Diagnostic;
use crate::host::lock_file::LockFile;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// The lock's name in the data directory.
const NAME: &str = "agent.lock";

/// Takes the data directory, which is made where it is missing, for as long as the lock lives.
/// Nothing where the directory has no locks or cannot be written: then the log says so.
///
/// # Errors
/// Another agent has it.
pub(in crate::cli) fn only_agent(data_dir: &Path) -> Result<Option<LockFile>, Diagnostic> {
    let taken = made(data_dir).and_then(|()| LockFile::take(&data_dir.join(NAME)));
    match taken {
        Ok(Ok(lock)) => Ok(Some(lock)),
        Ok(Err(held)) => {
            let who = held.holder().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            let (place, socket) = (data_dir.display(), socket::path(data_dir));
            let message = format!(
                "another agent{who} keeps its state in `{place}`, and answers on `{}`",
                socket.display()
            );
            let hint = "`driftless reload` has it load its config anew, `driftless drain` ends it; \
                        a second agent needs a `data_dir` of its own in agent.yml";
            Err(Diagnostic::new(message, None).hint(hint))
        }
        Err(error) => {
            let data_dir = data_dir.display();
            tracing::warn!(%data_dir, %error, "it cannot be told whether another agent runs");
            Ok(None)
        }
    }
}

fn made(data_dir: &Path) -> io::Result<()> {
    if data_dir.exists() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(data_dir)
}
