//! What expressions of tasks may look at: the machine as the tasks before have left it, or would
//! have in a dry run.

use crate::expr::host::{Host, Kind, Seen, Unanswered};
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::fault::Fault;
use crate::host::machine::meta;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use bytes::Bytes;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The machine, for looking. It is a fork: nothing that an expression does can change the host.
pub(super) struct Looks {
    base: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    fork: Machine,
    /// How many effects the machine had when it was forked.
    at: usize,
    /// Where the task of the moment looks for relative paths.
    places: Vec<PathBuf>,
    /// Files that look-ups ask to be kept.
    kept: Vec<(PathBuf, Bytes)>,
}

impl fmt::Debug for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looks").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Looks {
    /// Looks at `machine`; relative paths are below `base`.
    pub(super) fn new(machine: &Machine, base: &Path) -> Arc<Self> {
        let base = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
        let inner = Inner {
            fork: machine.fork(),
            at: machine.journal().len(),
            places: vec![base.clone()],
            kept: Vec::new(),
        };
        Arc::new(Self { base, inner: Mutex::new(inner) })
    }

    /// To be called before a task, so that its expressions see what those before it did; `places`
    /// are where it looks for relative paths.
    pub(super) fn catch_up(&self, machine: &Machine, places: &[PathBuf]) {
        let mut inner = self.lock();
        if inner.places != places {
            inner.places = places.to_vec();
        }
        // Whatever is done for real is on the disk, where every look begins.
        let (known, now) = (inner.at, machine.journal().len());
        if machine.is_dry_run() && known != now {
            if inner.fork.follow(machine, known).is_err() {
                inner.fork = machine.fork();
            }
            inner.at = now;
        }
    }

    /// To be called after a task: what its expressions looked at is something that it depends on.
    pub(super) fn note(&self, machine: &Machine) {
        machine.note_seen(self.lock().fork.take_seen());
    }

    /// To be called when expressions have been rendered: writes what they ask to be kept.
    pub(super) fn settle(&self, machine: &mut Machine) -> Result<(), Fault> {
        let mut inner = self.lock();
        inner.fork.forget_looks();
        for (path, content) in std::mem::take(&mut inner.kept) {
            keep(machine, &path, &content)?;
            inner.fork = machine.fork();
            inner.at = machine.journal().len();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a file that its owner alone can read, and the directories to it.
fn keep(machine: &mut Machine, path: &Path, content: &Bytes) -> Result<(), Fault> {
    let mode = |bits| Attributes { mode: Some(Mode::Exact(bits)), ..Attributes::default() };
    let missing: Vec<&Path> = path.ancestors().skip(1).collect();
    for directory in missing.into_iter().rev().filter(|path| !path.as_os_str().is_empty()) {
        if machine.stat(directory, Follow::Yes)?.is_none() {
            machine.mkdir(directory, &mode(0o700))?;
        }
    }
    machine.write_file(path, content, &mode(0o600), &WriteOptions::default())?;
    Ok(())
}

fn told(fault: Fault) -> String {
    match fault.hint {
        Some(hint) => format!("{} ({hint})", fault.message),
        None => fault.message,
    }
}

impl Host for Looks {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.lock().fork.read(path).map(|bytes| bytes.to_vec()).map_err(told)
    }

    fn look(&self, path: &Path, follow: bool) -> Result<Option<Seen>, String> {
        let follow = if follow { Follow::Yes } else { Follow::No };
        let found = self.lock().fork.stat(path, follow).map_err(told)?;
        Ok(found.map(|found| Seen {
            kind: match found.kind {
                meta::Kind::File => Kind::File,
                meta::Kind::Directory => Kind::Directory,
                meta::Kind::Link => Kind::Link,
                _ => Kind::Other,
            },
            device: found.inode.0,
            inode: found.inode.1,
        }))
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, String> {
        let names = self.lock().fork.list(path).map_err(told)?;
        Ok(names.into_iter().map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn real_path(&self, path: &Path) -> Result<PathBuf, String> {
        self.lock().fork.resolve(path, Follow::Yes).map_err(told)
    }

    fn run(&self, command: &str) -> Result<Vec<u8>, Unanswered> {
        let command = Command {
            argv: ["/bin/sh", "-c", command].map(str::to_owned).into(),
            chdir: Some(self.base.clone()),
            ..Command::default()
        };
        let output = self
            .lock()
            .fork
            .guard(&command)
            .map_err(|fault| Unanswered { is_denial: fault.is_denial, why: told(fault) })?;
        if output.is_success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next_back().unwrap_or_default();
        let why = format!("{}: {said}", output.how_it_ended());
        Err(Unanswered { why, is_denial: false })
    }

    fn keep(&self, path: &Path, content: &str) -> Result<(), String> {
        let mut inner = self.lock();
        let content = Bytes::copy_from_slice(content.as_bytes());
        // Seen at once by what is rendered after it.
        keep(&mut inner.fork, path, &content).map_err(told)?;
        inner.kept.push((path.to_owned(), content));
        Ok(())
    }

    fn now(&self) -> f64 {
        let now = self.lock().fork.now();
        #[expect(clippy::cast_precision_loss, reason = "exact to the microsecond for centuries")]
        let seconds = now.seconds as f64 + now.nanoseconds as f64 / 1e9;
        seconds
    }

    fn base(&self) -> &Path {
        &self.base
    }

    fn places(&self) -> Vec<PathBuf> {
        self.lock().places.clone()
    }
}
