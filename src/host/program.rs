//! Programs that run beside the agent, and end with it: each in a process group of its own.

use crate::event::secret::{Masker, SecretText};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

/// A program to run, without a shell. It gets nothing on standard input.
#[derive(Clone, Debug)]
pub struct Program {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Directory to run it in.
    pub directory: Option<PathBuf>,
    /// Environment variables.
    pub environment: Vec<(String, SecretText)>,
    /// Whether it has only those, and not also the agent's own.
    pub is_environment_cleared: bool,
    /// Whether somebody reads its standard output.
    pub stdout: bool,
    /// Whether somebody reads its standard error.
    pub stderr: bool,
}

/// A program that runs. All of its group is killed when this is dropped before it has ended.
#[derive(Debug)]
pub struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Program {
    /// A program of which both outputs are read, in the agent's own directory and environment.
    pub fn new(argv: Vec<String>) -> Self {
        let (directory, environment) = Default::default();
        let is_environment_cleared = false;
        Self { argv, directory, environment, is_environment_cleared, stdout: true, stderr: true }
    }

    /// Refuses what must not be run.
    ///
    /// # Errors
    /// What is wrong, in a user's words and without secrets.
    pub fn check(&self, masker: &Masker) -> Result<(), String> {
        let Some(program) = self.argv.first().filter(|program| !program.is_empty()) else {
            return Err("there is no command to run".to_owned());
        };
        if self.argv.iter().any(|word| masker.reveals(word)) {
            return Err(format!(
                "an argument of `{program}` holds a secret, and other users can read arguments; \
                 pass it through `environment`"
            ));
        }
        if self.argv.iter().any(|word| word.contains('\0')) {
            return Err(format!("an argument of `{program}` holds a NUL byte"));
        }
        Ok(())
    }

    /// Starts it.
    ///
    /// # Errors
    /// Where there is no such program or directory, or the system has no room for it.
    pub fn start(&self) -> io::Result<Running> {
        let (program, arguments) = self.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let piped = |is_read| if is_read { Stdio::piped() } else { Stdio::null() };
        let mut command = Command::new(program);
        if self.is_environment_cleared {
            command.env_clear();
        }
        for (name, value) in &self.environment {
            command.env(name, value.expose());
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(piped(self.stdout))
            .stderr(piped(self.stderr))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Running { child, group })
    }
}

impl Running {
    /// Its standard output; given once.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard error; given once.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// How it ended, once it has. What it started may still run.
    ///
    /// # Errors
    /// Where the system cannot tell.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks the whole group to end, and kills what has not by then.
    pub async fn stop(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        if let Ok(status) = timeout(patience, self.child.wait()).await {
            // What the program has left behind in its group goes too.
            self.signal(Signal::SIGKILL);
            return status;
        }
        self.signal(Signal::SIGKILL);
        self.child.wait().await
    }

    /// Lets what it has left behind live on.
    pub fn let_go(mut self) {
        self.group = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // A group that is gone needs no signal.
            killpg(group, signal).ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
