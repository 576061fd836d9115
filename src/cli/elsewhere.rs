//! Another host than this one, to be looked at from here: its name, groups and facts.

use super::told_facts;
use crate::config::load::Config;
use crate::config::rollout::Turn;
use crate::event::fault::Diagnostic;
use crate::host::facts::Facts;
use serde_json::Value;
use std::path::PathBuf;

/// The options that name another host.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Options {
    /// Look at the config as this host would have it.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    #[command(flatten)]
    more: More,
}

/// What else may be known of it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct More {
    /// That host's facts: what `driftless facts --format json` prints there, or `ansible HOST -m setup`.
    /// Others are those of this machine.
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// Groups that the agent.yml of that host names.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    groups: Vec<String>,
}

/// Another host.
#[derive(Clone, Debug)]
pub(super) struct Elsewhere {
    pub(super) name: String,
    pub(super) groups: Vec<String>,
    told: serde_json::Map<String, Value>,
}

impl Options {
    /// The host that is meant, where it is another.
    ///
    /// # Errors
    /// Where its facts cannot be read.
    pub(super) fn meant(&self) -> Result<Option<Elsewhere>, Diagnostic> {
        self.more.of(self.host.as_deref(), "--host")
    }
}

impl More {
    /// The host of this name, which the option `option` gives.
    ///
    /// # Errors
    /// Where its facts cannot be read, or there is no name that they could be of.
    pub(super) fn of(
        &self,
        name: Option<&str>,
        option: &str,
    ) -> Result<Option<Elsewhere>, Diagnostic> {
        let Some(name) = name else {
            if self.facts.is_some() || !self.groups.is_empty() {
                let message =
                    format!("--facts and --groups are of another host, which {option} names");
                return Err(Diagnostic::new(message, None));
            }
            return Ok(None);
        };
        let mut told = match &self.facts {
            Some(path) => told_facts::read(path, name)?,
            None => serde_json::Map::new(),
        };
        let short = name.split('.').next().unwrap_or(name);
        told.entry("hostname").or_insert_with(|| short.into());
        told.entry("fqdn").or_insert_with(|| name.into());
        Ok(Some(Elsewhere { name: name.to_owned(), groups: self.groups.clone(), told }))
    }
}

impl Elsewhere {
    /// Its facts: those that are known, and those of this machine in place of all others.
    pub(super) fn facts(&self, here: Facts) -> Facts {
        here.told(self.told.iter().map(|(name, value)| (name.as_str(), value)))
    }

    /// The value of each of its secrets: the real ones are not here.
    pub(super) fn secret(name: &str) -> String {
        format!("stand-in-{name}")
    }

    /// What its config says of it, and what is not as it would be there.
    pub(super) fn notes(&self, config: &Config) -> Vec<Diagnostic> {
        let name = &self.name;
        let mut told = vec![match config.groups.as_slice() {
            [] => format!("`{name}` belongs to no group"),
            groups => format!("`{name}` belongs to {}", groups.join(", ")),
        }];
        let list = |paths: &[PathBuf]| {
            paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
        };
        told.push(format!("these files count: {}", list(&config.files.counted)));
        if !config.files.unmet.is_empty() {
            told.push(format!("their `when` leaves these out: {}", list(&config.files.unmet)));
        }
        told.extend(config.turn.map(|turn| of_turn(name, turn)));
        if !config.secrets.is_empty() {
            told.push(format!(
                "its secrets are not known here: each is `{}`",
                Self::secret("NAME")
            ));
        }
        told.into_iter().map(|message| Diagnostic::new(message, None)).collect()
    }

    /// Which of the facts that were asked for are those of this machine.
    pub(super) fn note_facts(&self, facts: &Facts) -> Option<Diagnostic> {
        let asked: Vec<_> = facts.gathered_here().map(|fact| format!("`{fact}`")).collect();
        let name = &self.name;
        let facts = match asked.as_slice() {
            [] => return None,
            [fact] => format!("the fact {fact} is that of this machine, not of `{name}`"),
            facts => {
                format!("the facts {} are those of this machine, not of `{name}`", facts.join(", "))
            }
        };
        let hint =
            "give them with --facts FILE, as `driftless facts --format json` prints them there";
        Some(Diagnostic::new(facts, None).hint(hint))
    }
}

fn of_turn(name: &str, turn: Turn) -> String {
    let Turn { place, after } = turn;
    match after {
        None => format!("rollout: `{name}` (place {place} of 100) keeps the revision that it has"),
        Some(after) if after.is_zero() => {
            format!("rollout: `{name}` (place {place} of 100) takes this revision at once")
        }
        Some(after) => {
            let after = crate::topology::settings::Period(after);
            format!(
                "rollout: `{name}` (place {place} of 100) takes this revision {after} after it has \
                 first seen it"
            )
        }
    }
}
