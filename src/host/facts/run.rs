//! Programs that tell a fact: the host's own, and one that lists packages.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// What is printed beyond this is left out.
const MOST_BYTES: u64 = 16 << 20;

/// Between two looks whether a program that prints no more has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// What `program` prints; `None` where it fails, or has not ended within `limit`. It is killed
/// then, with all that it has started.
pub(super) fn output_of(program: &Path, arguments: &[&str], limit: Duration) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()?;
    let group = i32::try_from(child.id()).map(Pid::from_raw);
    let output = child.stdout.take()?;
    let (done, printed) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        // Who waits has given up where nobody listens.
        done.send(output.take(MOST_BYTES).read_to_end(&mut text).ok().map(|_| text)).ok();
    });
    let end = Instant::now() + limit;
    let printed = printed.recv_timeout(limit).ok().flatten();
    // One that has closed its output may still run.
    while printed.is_some() && Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(PAUSE);
    }
    if !matches!(child.try_wait(), Ok(Some(_))) {
        // It may have ended just now.
        group.ok().and_then(|group| killpg(group, Signal::SIGKILL).ok());
    }
    let status = child.wait().ok()?;
    let text = printed.filter(|_| status.success())?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
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
