//! State of the running host that is in no file: settings of the kernel, and what a program brings
//! about whose effect is known beforehand, such as a mount.

use super::change::{Change, Effect};
use super::command::Command;
use super::fault::Fault;
use super::live::Manner;
use super::path::Follow;
use super::seen::Depth;
use super::{Back, Machine};
use crate::host::{network, sys};
use bytes::Bytes;
use std::path::Path;

/// A step from one state of something to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is about: `mount /srv`.
    pub of: String,
    /// How that is.
    pub before: String,
    /// How it will be. Later tasks of a dry run are told so.
    pub after: String,
    /// Who does it.
    pub by: Means,
    /// Who takes it back, where somebody can.
    pub back: Option<Means>,
}

/// Who takes a [`Step`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// A program, with its arguments.
    Program(Vec<String>),
    /// The kernel, who is told to do this to a network interface.
    Network {
        /// The interface.
        interface: String,
        /// What is done to it.
        act: network::Act,
    },
}

/// A step from one state of something to another, which a program takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What it is about: `mount /srv`.
    pub of: String,
    /// How that is.
    pub before: String,
    /// How it will be. Later tasks of a dry run are told so.
    pub after: String,
    /// The program that does it, with its arguments.
    pub argv: Vec<String>,
    /// The program that takes it back, where one can.
    pub back: Option<Vec<String>>,
}

/// How the state of [`mount_at`] is where nothing is mounted.
pub const NOT_MOUNTED: &str = "not mounted";

/// What a [`Transition`] is about that mounts something at `path`, or unmounts it. Links in the path
/// are resolved.
pub fn mount_at(path: &Path) -> String {
    format!("mount {}", path.display())
}

/// How the state of [`attributes_of`] is where a path has none.
pub const NO_ATTRIBUTES: &str = "none";

/// What a [`Transition`] is about that gives `path` attributes as chattr(1) has them, or takes some;
/// its states are their letters. Links in the path are resolved.
pub fn attributes_of(path: &Path) -> String {
    format!("attributes of {}", path.display())
}

impl Machine {
    /// Makes sure that the setting of the kernel at `path`, a file below `/proc/sys`, is `value`.
    /// Blanks in a row are one blank, as the kernel has it.
    ///
    /// Errors: there is no such setting, or it cannot be written.
    pub fn set_kernel(&mut self, path: &Path, value: &str) -> Result<(), Fault> {
        let resolved = self.see(path, Follow::Yes, Depth::Content)?;
        let before = self.read(&resolved)?;
        let words = |text: &[u8]| -> Vec<String> {
            String::from_utf8_lossy(text).split_whitespace().map(str::to_owned).collect()
        };
        if words(&before) == words(value.as_bytes()) {
            return Ok(());
        }
        let before = before.strip_suffix(b"\n").unwrap_or(&before);
        let before = Bytes::copy_from_slice(before);
        let after = Bytes::copy_from_slice(value.as_bytes());
        self.perform(resolved, Effect::Setting { before, after }, Manner::Atomic)
    }

    /// Has a program bring something into another state. A dry run takes that for done.
    ///
    /// Errors: there is no such program, or it ends with an error.
    pub fn transition(&mut self, step: &Transition) -> Result<(), Fault> {
        let Transition { of, before, after, argv, back } = step.clone();
        let (by, back) = (Means::Program(argv), back.map(Means::Program));
        self.take(&Step { of, before, after, by, back })
    }

    /// Brings something into another state. A dry run takes that for done.
    ///
    /// Errors: there is no such program, it ends with an error, or the kernel refuses.
    pub fn take(&mut self, step: &Step) -> Result<(), Fault> {
        let path = match &step.by {
            Means::Program(argv) => self.check_command(&program(argv))?,
            Means::Network { interface, .. } => self.check_network(interface)?,
        };
        let change = Change { path, effect: Effect::State(Box::new(step.clone())) };
        if self.is_dry_run() {
            return self.perform(change.path, change.effect, Manner::Atomic);
        }
        self.announce()?;
        let done = match &step.by {
            Means::Program(argv) => self.have_done(argv),
            Means::Network { interface, act } => network::change(interface, act).map_err(|error| {
                Fault::new(format!("{} is refused: {}", change.summary(), Fault::said(&error)))
            }),
        };
        self.forget_looks();
        done?;
        self.journal.push(change);
        Ok(())
    }

    fn have_done(&self, argv: &[String]) -> Result<(), Fault> {
        let output = self.spawn(&program(argv), None)?;
        if output.is_success() {
            return Ok(());
        }
        let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
        let said = String::from_utf8_lossy(said);
        let (argv, how) = (argv.join(" "), output.how_it_ended());
        Err(Fault::new(format!("`{argv}` did not succeed ({how}): {}", said.trim())))
    }

    /// Whether something is mounted at `path`, links resolved, or would be.
    pub(super) fn is_mount_point(&self, path: &Path) -> bool {
        match self.foretold_state(&mount_at(path)) {
            Some(foretold) => foretold != NOT_MOUNTED,
            None => sys::flags(path).is_ok_and(|flags| flags.mount_point),
        }
    }

    /// Whether a dry run has foretold a state of something whose name begins like this.
    pub fn foretells_state_of(&self, beginning: &str) -> bool {
        match &self.back {
            Back::Live => false,
            Back::Overlay(overlay) => overlay.knows_state_of(beginning),
        }
    }

    /// How the last step of this run has left the state of `of`, or would.
    pub fn noted_state(&self, of: &str) -> Option<&str> {
        self.journal.iter().rev().find_map(|change| match &change.effect {
            Effect::State(step) if step.of == of => Some(step.after.as_str()),
            _ => None,
        })
    }

    /// How a dry run has foretold the state of `of`; `None` where the host itself tells.
    pub fn foretold_state(&self, of: &str) -> Option<String> {
        match &self.back {
            Back::Live => None,
            Back::Overlay(overlay) => overlay.state(of).map(str::to_owned),
        }
    }
}

fn program(argv: &[String]) -> Command {
    Command { argv: argv.to_vec(), ..Command::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn step(root: &Path) -> Transition {
        let file = root.join("on").display().to_string();
        let argv = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Transition {
            of: "the light".into(),
            before: "off".into(),
            after: "on".into(),
            argv: argv(&["touch", &file]),
            back: Some(argv(&["rm", &file])),
        }
    }

    #[test]
    fn a_state_is_foretold_without_the_program_and_taken_back_by_another() {
        let root = tempfile::tempdir().unwrap();
        let step = step(root.path());
        let mut dry = Machine::overlay();
        dry.transition(&step).unwrap();
        assert_eq!(dry.foretold_state("the light").as_deref(), Some("on"));
        assert!(!root.path().join("on").exists());
        let mut live = Machine::live();
        live.transition(&step).unwrap();
        assert_eq!(live.journal()[0].summary(), "the light: off → on");
        assert_eq!(live.journal(), dry.journal());
        assert!(root.path().join("on").exists());
        for machine in [&mut live, &mut dry] {
            assert_eq!(machine.undo(0), []);
        }
        assert!(!root.path().join("on").exists());
        assert_eq!(dry.foretold_state("the light").as_deref(), Some("off"));
    }

    #[test]
    fn what_no_program_takes_back_is_said_to_stay() {
        let root = tempfile::tempdir().unwrap();
        let step = Transition { back: None, ..step(root.path()) };
        let mut live = Machine::live();
        live.transition(&step).unwrap();
        assert_eq!(live.undo(0)[0].message, "the light: off → on cannot be undone");
        let argv = vec!["false".to_owned()];
        let fault = live.transition(&Transition { argv, ..step }).unwrap_err();
        assert_eq!(fault.message, "`false` did not succeed (exit status 1): ");
    }

    #[test]
    fn a_setting_is_compared_word_by_word_and_put_back() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap().join("range");
        fs::write(&path, "1024\t65000\n").unwrap();
        for mut machine in [Machine::live(), Machine::overlay()] {
            machine.set_kernel(&path, "1024 65000").unwrap();
            assert_eq!(machine.journal(), []);
            machine.set_kernel(&path, "1 2").unwrap();
            assert_eq!(machine.read(&path).unwrap(), "1 2\n");
            let summary = machine.journal()[0].summary();
            assert_eq!(summary, format!("{}: 1024\t65000 → 1 2", path.display()));
            assert_eq!(machine.undo(0), []);
            assert_eq!(machine.read(&path).unwrap(), "1024\t65000\n");
            let fault = machine.set_kernel(&root.path().join("none"), "1").unwrap_err();
            assert!(fault.message.starts_with("there is no file"), "{fault}");
        }
    }
}
