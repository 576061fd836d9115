//! The program as a process of a test, which it does not outlive.

use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a test waits for comes within this time, or never.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `holds`; says whether it did in time.
pub(crate) fn comes_about(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// A running program; it is killed where nobody has waited for its end.
pub(crate) struct Process(Mutex<Child>);

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(Mutex::new(command.spawn().unwrap()))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child().id()
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(&self) -> ExitStatus {
        let id = nix::unistd::Pid::from_raw(self.id().try_into().unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.wait()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        // Both fail where it has ended already, which is as good.
        self.child().kill().ok();
        self.child().wait().ok();
    }

    /// Waits for the end.
    pub(crate) fn wait(&self) -> ExitStatus {
        let mut status = None;
        comes_about(|| {
            status = self.child().try_wait().unwrap();
            status.is_some()
        });
        status.expect("the program ends in time")
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
