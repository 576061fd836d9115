//! Programs that tell a fact: the host's own, and one that lists packages.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::host::brief::{End, Programs, run_command};

/// What is printed beyond this is left out.
const MOST_BYTES: u64 = 16 << 20;

/// What `program` prints; `None` where it fails, or has not ended within `limit`. It is killed
/// then, with all that it has started.
pub(super) fn output_of(program: &Path, arguments: &[&str], limit: Duration) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C.UTF-8");
    match run_command(&mut command, MOST_BYTES, limit, &Programs::default()).ok()? {
        End::Itself { status, text } if status.success() => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_program_that_fails_or_hangs_tells_nothing_and_holds_up_nobody() {
        let run = |script| output_of("/bin/sh".as_ref(), &["-c", script], Duration::from_secs(1));
        assert_eq!(run("echo yes").as_deref(), Some("yes\n"));
        assert_eq!(run("echo no; exit 1"), None);
        let begun = Instant::now();
        assert_eq!(run("sleep 100 & sleep 100"), None);
        assert_eq!(run("echo no; exec >&-; sleep 100"), None);
        assert!(begun.elapsed() < Duration::from_secs(50));
        assert_eq!(output_of("/no/such/program".as_ref(), &[], Duration::from_secs(1)), None);
    }
}
