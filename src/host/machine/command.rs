//! Runs programs: those that only look, and those that change things.

use super::Machine;
use super::change::{Change, Effect};
use super::fault::Fault;
use super::live::Manner;
use super::meta::{Kind, Stamp};
use super::path::Follow;
use crate::host::sandbox::Sandbox;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};

/// A program to run, without a shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Directory to run it in.
    pub chdir: Option<PathBuf>,
    /// Environment variables beyond those that this process has.
    pub environment: Vec<(String, String)>,
    /// What it reads from standard input; else nothing.
    pub stdin: Option<Vec<u8>>,
}

/// What a program said and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit status, or the signal that ended it.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// When it was started.
    pub started: Stamp,
    /// When it had ended.
    pub ended: Stamp,
}

impl Output {
    /// Whether it exited with status 0.
    pub fn is_success(&self) -> bool {
        self.status.success()
    }

    /// The exit status; of a program that a signal ended the negative signal number, as Ansible
    /// has it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| -self.status.signal().unwrap_or(1))
    }

    /// `exit status 2`, `ended by signal 9`.
    pub fn how_it_ended(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (None, Some(signal)) => format!("ended by signal {signal}"),
            (code, _) => format!("exit status {}", code.unwrap_or(-1)),
        }
    }
}

/// What came of a command that changes things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It ran.
    Done(Output),
    /// A dry run: it would run, and nobody knows with what effect.
    Unknown,
}

impl Machine {
    /// Runs a command that is known to only look; in a dry run too.
    pub fn query(&self, command: &Command) -> Result<Output, Fault> {
        self.check_to_run(command)?;
        self.spawn(command, None)
    }

    /// Runs a command that a user wrote and that is taken to only look; in a dry run too, where it
    /// can do nothing else as far as the kernel sees to that.
    ///
    /// Errors: one that is [`Fault::is_denial`] where it failed because it may not write.
    pub fn guard(&self, command: &Command) -> Result<Output, Fault> {
        self.check_to_run(command)?;
        let output = self.spawn(command, self.sandbox.as_ref())?;
        self.look_anew();
        if self.was_denied(command, &output)? {
            let program = command.argv.first().map_or("", String::as_str);
            return Err(Fault::denied(format!(
                "`{program}` would write, which a dry run does not"
            )));
        }
        Ok(output)
    }

    /// A complaint that something is not there. After commands that a dry run has only foretold it may
    /// be there all the same, so that what comes of it is unknown.
    pub fn absence(&self, message: impl Into<String>) -> Fault {
        if self.has_unknown_effects { Fault::denied(message) } else { Fault::new(message) }
    }

    /// Whether a guard that has failed only failed because it may not write. Its words tell that, so
    /// that one whose own environment asks for another language is asked once more, in English.
    fn was_denied(&self, command: &Command, output: &Output) -> Result<bool, Fault> {
        const LANGUAGES: [&str; 4] = ["LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"];
        let Some(sandbox) = self.sandbox.as_ref().filter(|_| !output.is_success()) else {
            return Ok(false);
        };
        let says_so = |output: &Output| {
            sandbox.was_denied(&output.stderr) || sandbox.was_denied(&output.stdout)
        };
        let mut english = command.clone();
        english.environment.retain(|(name, _)| !LANGUAGES.contains(&name.as_str()));
        if says_so(output) || english == *command {
            return Ok(says_so(output));
        }
        Ok(says_so(&self.spawn(&english, Some(sandbox))?))
    }

    /// Has `work` done with commands that run in a dry run too (`check_mode: false`), where the
    /// kernel keeps them from changing anything.
    pub fn with_commands<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        self.runs_commands = self.sandbox.as_ref().is_some_and(Sandbox::holds);
        let done = work(self);
        self.runs_commands = false;
        done
    }

    /// Runs a command that changes things. In a dry run only checks that the program is there,
    /// unless the task wants it to run.
    pub fn run(&mut self, command: &Command) -> Result<Ran, Fault> {
        let program = self.check_command(command)?;
        let effect = Effect::Run { argv: command.argv.clone() };
        if self.is_dry_run() {
            let output = if self.runs_commands {
                let output = self.spawn(command, self.sandbox.as_ref())?;
                (!self.was_denied(command, &output)?).then_some(output)
            } else {
                None
            };
            self.has_unknown_effects |= output.is_none();
            self.perform(program, effect, Manner::Atomic)?;
            return Ok(output.map_or(Ran::Unknown, Ran::Done));
        }
        self.announce()?;
        let output = self.spawn(command, None);
        self.forget_looks();
        let output = output?;
        self.journal.push(Change { path: program, effect });
        Ok(Ran::Done(output))
    }

    /// The same of a command that a dry run runs too, so that its program must be there by now.
    fn check_to_run(&self, command: &Command) -> Result<(), Fault> {
        let program = self.check_command(command)?;
        if self.has_unknown_effects && self.stat(&program, Follow::Yes)?.is_none() {
            return Err(self.absence(format!("there is no program `{}`", program.display())));
        }
        Ok(())
    }

    /// Where the command runs; where nobody says, it is where this process is.
    fn directory_of(&self, command: &Command) -> Option<PathBuf> {
        match (&self.base, &command.chdir) {
            (Some(base), Some(directory)) => Some(base.join(directory)),
            (Some(base), None) if base.is_dir() => Some(base.clone()),
            (_, directory) => directory.clone(),
        }
    }

    /// Finds the program, and refuses what must not be run.
    pub(super) fn check_command(&self, command: &Command) -> Result<PathBuf, Fault> {
        let Some(program) = command.argv.first().filter(|program| !program.is_empty()) else {
            return Err(Fault::new("there is no command to run"));
        };
        if command.argv.iter().any(|word| self.masker.reveals(word)) {
            return Err(Fault::new(format!(
                "an argument of `{program}` holds a secret, and other users can read arguments"
            ))
            .hint("pass it through `environment` or `stdin`"));
        }
        if command.argv.iter().any(|word| word.contains('\0')) {
            return Err(Fault::new(format!("an argument of `{program}` holds a NUL byte")));
        }
        if let Some(directory) = &command.chdir {
            match self.stat(directory, Follow::Yes)? {
                Some(found) if found.kind == Kind::Directory => {}
                _ if self.has_unknown_effects => {}
                _ => {
                    return Err(Fault::new(format!(
                        "there is no directory {}",
                        directory.display()
                    )));
                }
            }
        }
        match self.find_program(program, command)? {
            Some(found) => Ok(found),
            None if self.has_unknown_effects => Ok(PathBuf::from(program)),
            None => Err(Fault::new(format!("there is no program `{program}`"))),
        }
    }

    fn find_program(&self, program: &str, command: &Command) -> Result<Option<PathBuf>, Fault> {
        let is_program = |path: &Path| -> Result<bool, Fault> {
            let found = self.stat(path, Follow::Yes)?;
            Ok(found.is_some_and(|found| found.kind == Kind::File && found.mode & 0o111 != 0))
        };
        if program.contains('/') {
            let path = match self.directory_of(command) {
                Some(directory) => directory.join(program),
                None => PathBuf::from(program),
            };
            // Relative to wherever this process is: the kernel will find it or not.
            return Ok((!path.is_absolute() || is_program(&path)?).then_some(path));
        }
        let given = command.environment.iter().find(|(name, _)| name == "PATH");
        let path = match given {
            Some((_, path)) => path.into(),
            None => {
                std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into())
            }
        };
        for directory in std::env::split_paths(&path).filter(|path| path.is_absolute()) {
            let candidate = directory.join(program);
            if is_program(&candidate).unwrap_or(false) {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    /// Runs a program to its end, as a guard where there is a sandbox for it. When the task's time is
    /// over it is killed, with all that it has started.
    pub(super) fn spawn(
        &self,
        command: &Command,
        sandbox: Option<&Sandbox>,
    ) -> Result<Output, Fault> {
        self.check_user()?;
        let command = &*self.as_user(command);
        let Some((program, arguments)) = command.argv.split_first() else {
            return Err(Fault::new("there is no command to run"));
        };
        let fault = |error: std::io::Error| Fault::kernel("run", Path::new(program), error);
        let mut process = std::process::Command::new(program);
        match (sandbox, self.sandbox.as_ref().and_then(Sandbox::scratch)) {
            (Some(sandbox), _) => sandbox.confine(&mut process),
            // Nowhere else can one that only looks put what it needs for a moment.
            (None, Some(scratch)) => {
                process.env("TMPDIR", scratch);
            }
            (None, None) => {}
        }
        process.args(arguments).envs(command.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = self.directory_of(command) {
            process.current_dir(directory);
        }
        process.stdout(Stdio::piped()).stderr(Stdio::piped());
        process.stdin(if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        if self.limit.is_some() {
            process.process_group(0);
        }
        let started = Stamp::now();
        let mut child = process.spawn().map_err(fault)?;
        let group = i32::try_from(child.id()).map_or(Pid::from_raw(i32::MAX), Pid::from_raw);
        let input = child.stdin.take();
        let (has_ended, ended) = mpsc::channel::<()>();
        let is_late = AtomicBool::new(false);
        let output = std::thread::scope(|scope| {
            // On a thread of its own: a program that writes before it has read all would block us
            // both.
            scope.spawn(move || {
                if let (Some(mut pipe), Some(text)) = (input, &command.stdin) {
                    // A program may end without reading; that is its business.
                    drop(pipe.write_all(text));
                }
            });
            if let Some(limit) = self.limit {
                let is_late = &is_late;
                scope.spawn(move || {
                    if ended.recv_timeout(limit.left()) == Err(RecvTimeoutError::Timeout) {
                        is_late.store(true, Ordering::Relaxed);
                        // One that has just ended needs no signal.
                        killpg(group, Signal::SIGKILL).ok();
                    }
                });
            }
            let output = child.wait_with_output().map_err(fault);
            drop(has_ended);
            output
        })?;
        let ended = Stamp::now();
        if let Some(limit) = self.limit.filter(|_| is_late.load(Ordering::Relaxed)) {
            return Err(limit.is_over());
        }
        Ok(Output {
            status: output.status,
            stdout: output.stdout,
            stderr: output.stderr,
            started,
            ended,
        })
    }
}
