//! Programs that are run for what they print, for a short time: each in a process group of its own.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::string::FromUtf8Error;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::host::program::Program;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Between two looks whether a program that prints no more has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// How a program ended.
#[derive(Debug)]
pub enum End {
    /// By itself, with what it has printed.
    Itself {
        /// Its exit status.
        status: ExitStatus,
        /// Its standard output; what is not UTF-8 is replaced.
        text: String,
    },
    /// It has not within the limit, and was killed with all that it had started.
    TimedOut,
}

/// Runs `program`, whose errors nobody reads. What it prints beyond `most_bytes` is left out.
///
/// # Errors
/// Where it cannot be started, or the system cannot tell how it ended.
pub fn run(program: &Program, most_bytes: u64, limit: Duration) -> io::Result<End> {
    let (name, arguments) = program.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(name);
    if program.is_environment_cleared {
        command.env_clear();
    }
    for (name, value) in &program.environment {
        command.env(name, value.expose());
    }
    if let Some(directory) = &program.directory {
        command.current_dir(directory);
    }
    run_command(command.args(arguments), most_bytes, limit)
}

/// The same of a command that has its arguments.
pub(super) fn run_command(
    command: &mut Command,
    most_bytes: u64,
    limit: Duration,
) -> io::Result<End> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let group = i32::try_from(child.id()).map(Pid::from_raw);
    let (done, printed) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || {
            let mut text = Vec::new();
            let mut output = output.take(most_bytes);
            let read = output.read_to_end(&mut text);
            // A program that prints more would wait for a reader for ever.
            let rest = io::copy(output.get_mut(), &mut io::sink());
            // Who waits has given up where nobody listens.
            done.send(read.and(rest).ok().map(|_| text)).ok();
        });
    }
    let end = Instant::now() + limit;
    let printed = printed.recv_timeout(limit).ok().flatten();
    // One that has closed its output may still run.
    while printed.is_some() && Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(PAUSE);
    }
    let ended = matches!(child.try_wait(), Ok(Some(_)));
    if !ended || printed.is_none() {
        // It may have ended just now, and left something behind that holds its output.
        group.ok().and_then(|group| killpg(group, Signal::SIGKILL).ok());
    }
    let status = child.wait()?;
    Ok(match printed {
        Some(text) if ended => {
            // Not copied where it need not be: it may hold secrets.
            let lossy =
                |error: FromUtf8Error| String::from_utf8_lossy(error.as_bytes()).into_owned();
            End::Itself { status, text: String::from_utf8(text).unwrap_or_else(lossy) }
        }
        _ => End::TimedOut,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, most_bytes: u64) -> io::Result<End> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        run(&Program::new(argv), most_bytes, Duration::from_secs(1))
    }

    #[test]
    fn what_a_program_prints_is_told_with_its_status_and_the_rest_is_thrown_away() {
        let told = |script, most| match sh(script, most).unwrap() {
            End::Itself { status, text } => (status.code(), text),
            End::TimedOut => panic!("in time"),
        };
        assert_eq!(told("echo yes", 100), (Some(0), "yes\n".to_owned()));
        assert_eq!(told("printf 'a\\377b'; exit 3", 100), (Some(3), "a\u{fffd}b".to_owned()));
        let (status, text) = told("head -c 1000000 /dev/zero; exit 1", 10);
        assert_eq!((status, text.len()), (Some(1), 10));
        let none = Program::new(vec!["/no/such/program".to_owned()]);
        assert!(run(&none, 1, Duration::from_secs(1)).is_err());
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        for script in ["sleep 1000 & echo $! > PID; wait", "sleep 1000 & echo $! > PID"] {
            let script = script.replace("PID", &pid.to_string_lossy());
            let begun = Instant::now();
            assert!(matches!(sh(&script, 100).unwrap(), End::TimedOut));
            assert!(begun.elapsed() < Duration::from_secs(50));
            let pid = std::fs::read_to_string(&pid).unwrap();
            let stat = format!("/proc/{}/stat", pid.trim());
            let is_gone =
                || std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "));
            let deadline = Instant::now() + Duration::from_secs(20);
            while !is_gone() {
                assert!(Instant::now() < deadline, "what it started lives on");
                thread::yield_now();
            }
        }
    }
}
