//! Programs that are run for what they print, for a short time: each in a process group of its own.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::string::FromUtf8Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
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

/// Programs that end with whoever lets them run. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct Programs(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The groups of those that run.
    groups: Vec<Pid>,
    is_over: bool,
}

impl Programs {
    /// Kills those that run with all that they have started, and lets no other begin.
    pub fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        for group in state.groups.drain(..) {
            // A group that is gone needs no signal.
            killpg(group, Signal::SIGKILL).ok();
        }
    }

    /// Whether they have been ended.
    pub fn are_over(&self) -> bool {
        self.state().is_over
    }

    /// The same as [`run`], of one of these.
    ///
    /// # Errors
    /// As for [`run`], and where these have been ended.
    pub fn run(&self, program: &Program, most_bytes: u64, limit: Duration) -> io::Result<End> {
        run_command(&mut command(program)?, most_bytes, limit, self)
    }

    /// Starts one. Nobody can end the others in between, and pass over this one.
    fn start(&self, command: &mut Command) -> io::Result<(Child, Option<Pid>)> {
        let mut state = self.state();
        if state.is_over {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.spawn()?;
        let group = i32::try_from(child.id()).ok().map(Pid::from_raw);
        state.groups.extend(group);
        Ok((child, group))
    }

    fn forget(&self, group: Option<Pid>) {
        self.state().groups.retain(|known| Some(*known) != group);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `program`, whose errors nobody reads. What it prints beyond `most_bytes` is left out.
///
/// # Errors
/// Where it cannot be started, or the system cannot tell how it ended.
pub fn run(program: &Program, most_bytes: u64, limit: Duration) -> io::Result<End> {
    Programs::default().run(program, most_bytes, limit)
}

fn command(program: &Program) -> io::Result<Command> {
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
    command.args(arguments);
    Ok(command)
}

/// The same of a command that has its arguments, as one of `programs`.
pub(super) fn run_command(
    command: &mut Command,
    most_bytes: u64,
    limit: Duration,
    programs: &Programs,
) -> io::Result<End> {
    let command =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let (mut child, group) = programs.start(command)?;
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
        group.and_then(|group| killpg(group, Signal::SIGKILL).ok());
    }
    programs.forget(group);
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

    fn assert_gone(pid: &str) {
        let stat = format!("/proc/{}/stat", pid.trim());
        let is_gone = || std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_gone() {
            assert!(Instant::now() < deadline, "what it started lives on");
            thread::yield_now();
        }
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
            assert_gone(&pid);
        }
    }

    #[test]
    fn what_runs_is_killed_with_all_that_it_started_when_it_is_over_and_nothing_begins_then() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
        let argv = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
        let programs = Programs::default();
        let running = thread::spawn({
            let programs = programs.clone();
            move || programs.run(&Program::new(argv), 100, Duration::from_secs(500))
        });
        let deadline = Instant::now() + Duration::from_secs(20);
        let started = || std::fs::read_to_string(&pid).ok().filter(|text| text.ends_with('\n'));
        while started().is_none() {
            assert!(Instant::now() < deadline, "it does not begin");
            thread::yield_now();
        }
        programs.end();
        let end = running.join().unwrap().unwrap();
        assert!(matches!(end, End::Itself { status, .. } if !status.success()), "{end:?}");
        assert_gone(&started().unwrap());
        let late = programs.run(&Program::new(vec!["/bin/true".to_owned()]), 1, Duration::ZERO);
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
