//! What is like this or that and is no file: packages, services. Programs change it; what they did,
//! or would do, is told here.

use super::change::{Change, Effect};
use super::command::{Command, Output, Ran};
use super::fault::Fault;
use super::live::Manner;
use super::{Back, Machine};
use std::path::Path;

impl Machine {
    /// Tells what a command did that was run for it, or would do: `name` of `of` is no longer
    /// `before` but `after`. What is as it was is not told. `path` is where that is written down.
    pub fn note_property(
        &mut self,
        path: &Path,
        of: &str,
        name: &'static str,
        [before, after]: [Option<String>; 2],
    ) -> Result<(), Fault> {
        if before == after {
            return Ok(());
        }
        let effect = Effect::Property { of: of.to_owned(), name, before, after };
        if self.is_dry_run() {
            return self.perform(path.to_owned(), effect, Manner::Atomic);
        }
        self.forget_looks();
        self.journal.push(Change { path: path.to_owned(), effect });
        Ok(())
    }

    /// What a dry run has foretold of `name` of `of`; `None` where it has not, and the host counts.
    pub fn foretold_property(&self, of: &str, name: &'static str) -> Option<&Option<String>> {
        match &self.back {
            Back::Live => None,
            Back::Overlay(overlay) => overlay.property(of, name),
        }
    }

    /// Whether a dry run has foretold something of `path` or below it, which programs do not see.
    pub fn foretells_below(&self, path: &Path) -> bool {
        match &self.back {
            Back::Live => false,
            Back::Overlay(overlay) => self
                .resolve(path, super::Follow::Yes)
                .is_ok_and(|path| overlay.foretells_below(&path)),
        }
    }

    /// Runs a command that only brings up to date what this host knows of others. That is no effect
    /// of its own; a dry run leaves it out, and does not know what would be known: `None`.
    pub fn refresh(&mut self, command: &Command) -> Result<Option<Output>, Fault> {
        self.check_command(command)?;
        if self.is_dry_run() {
            return Ok(None);
        }
        let output = self.spawn(command, None);
        self.forget_looks();
        output.map(Some)
    }

    /// Runs a command that changes something or nothing, which the caller tells afterwards, as
    /// [`Machine::note_property`] does. A dry run leaves it out, and does not know.
    pub fn attempt(&mut self, command: &Command) -> Result<Ran, Fault> {
        self.check_command(command)?;
        if self.is_dry_run() {
            self.has_unknown_effects = true;
            return Ok(Ran::Unknown);
        }
        self.announce()?;
        let output = self.spawn(command, None);
        self.forget_looks();
        output.map(Ran::Done)
    }
}
