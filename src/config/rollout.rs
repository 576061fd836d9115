//! When a host's turn comes to take a new revision of the repository.
//!
//! Each host works that out for itself, from the new revision alone and its own name and groups, so
//! that no server has to know who is where. Why the *new* revision's word counts, and not that of
//! the one that is active: hosts that have different revisions would otherwise go by different
//! rules, and a revision that must be everywhere at once could not say so. It is read only after
//! the signature and the history of that revision were checked, when its files are laid out: who
//! may not change the hosts cannot hold back what others change either.

use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::topology::settings::Period;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Places are told apart to a ten-thousandth of all hosts.
const PLACES: u64 = 10_000;

/// In which order hosts take a new revision. Every host has a place between 0 and 100, by a hash of
/// its name and `salt`; `percent: 10` means those whose place is below 10. A host whose turn has not
/// come keeps the revision that it has.
///
/// ```yaml
/// rollout: {percent: 10}
/// ```
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// This part of all hosts takes the revision, the others do not; a later one with a larger
    /// number is for more of them. Not together with `stages`.
    #[serde(default)]
    #[schemars(with = "Option<f64>", range(min = 0, max = 100))]
    pub percent: Option<Node>,
    /// Waves that follow each other. A host is in the first one that takes it; one that no stage
    /// takes keeps what it has.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// Any text. Another one gives the hosts other places, so that not the same ones are always the
    /// first. Default: none.
    #[serde(default)]
    pub salt: String,
}

/// One wave. It takes hosts that any of `percent`, `groups` and `hosts` means.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The hosts whose place is below this number, of 100.
    #[serde(default)]
    #[schemars(with = "Option<f64>", range(min = 0, max = 100))]
    pub percent: Option<Node>,
    /// The hosts of these groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// These hosts; `*` and `?` stand for any letters.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub hosts: Vec<Node>,
    /// How long after the host has first seen the revision. Default: at once.
    #[serde(default)]
    pub after: Option<Period>,
}

/// Which turn a host has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Its place among all hosts, from 0 up to 100.
    pub place: f64,
    /// How long after it has first seen the revision it takes it; `None` where it keeps what it has.
    pub after: Option<Duration>,
}

impl Rollout {
    /// The turn of `host`, which belongs to `groups`.
    pub(super) fn turn(
        &self,
        host: &str,
        groups: &[String],
        complaints: &mut Vec<Diagnostic>,
    ) -> Turn {
        let place = place(&self.salt, host);
        let mut after = None;
        let mut note =
            |wait: Duration| after = Some(after.map_or(wait, |it: Duration| it.min(wait)));
        if let Some(node) = &self.percent {
            if !self.stages.is_empty() {
                let message = "`percent` and `stages` are two ways to say the same";
                let complaint = Diagnostic::new(message, node.span.clone());
                complaints.push(complaint.hint("make it one more of the stages"));
            }
            if place < percent(node, complaints) {
                note(Duration::ZERO);
            }
        }
        for stage in &self.stages {
            let wait = stage.after.map_or(Duration::ZERO, |period| period.0);
            let mut takes = groups.iter().any(|group| stage.groups.contains(group));
            if let Some(node) = &stage.percent {
                takes |= place < percent(node, complaints);
            }
            for pattern in &stage.hosts {
                takes |= is_meant(pattern, host, complaints);
            }
            if takes {
                note(wait);
            }
        }
        // Without a word on who, it is everybody.
        if self.percent.is_none() && self.stages.is_empty() {
            note(Duration::ZERO);
        }
        Turn { place, after }
    }
}

/// The place of a host: the first eight bytes of SHA-256 over salt, a zero byte and name, as a
/// number, modulo 10,000, in hundredths.
fn place(salt: &str, host: &str) -> f64 {
    let hash = Sha256::new().chain_update(salt).chain_update([0]).chain_update(host).finalize();
    let number = hash[..8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let place = u32::try_from(number % PLACES).unwrap_or_default();
    f64::from(place) / 100.0
}

fn percent(node: &Node, complaints: &mut Vec<Diagnostic>) -> f64 {
    let number = node.scalar_text().and_then(|text| text.parse().ok());
    number.filter(|it| (0.0..=100.0).contains(it)).unwrap_or_else(|| {
        let found =
            node.scalar_text().map_or_else(|| node.kind().to_owned(), |it| format!("`{it}`"));
        let message = format!("`percent`: found {found}, expected a number from 0 to 100");
        complaints.push(Diagnostic::new(message, node.span.clone()));
        0.0
    })
}

fn is_meant(pattern: &Node, host: &str, complaints: &mut Vec<Diagnostic>) -> bool {
    let text = pattern.scalar_text().unwrap_or_default();
    match globset::Glob::new(text) {
        Ok(glob) if !text.is_empty() => glob.compile_matcher().is_match(host),
        _ => {
            let message = format!("`hosts`: `{text}` is not the name of a host");
            complaints.push(Diagnostic::new(message, pattern.span.clone()));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::{Dialect, Format, read_text};
    use crate::event::de::from_node;
    use crate::event::tree::SourceFile;
    use std::path::Path;
    use std::sync::Arc;

    fn rollout(text: &str) -> Rollout {
        let file = SourceFile::new(Path::new("fleet.yml").into(), text.to_owned());
        let tree = read_text(&Arc::new(file), Format::Yaml, Dialect::Yaml12).unwrap();
        from_node(&tree, "this file").unwrap()
    }

    fn after(text: &str, host: &str, groups: &[&str]) -> Option<u64> {
        let groups: Vec<_> = groups.iter().map(ToString::to_string).collect();
        let mut complaints = Vec::new();
        let turn = rollout(text).turn(host, &groups, &mut complaints);
        assert!(complaints.is_empty(), "{complaints:?}");
        turn.after.map(|it| it.as_secs())
    }

    fn taken(text: &str) -> Vec<usize> {
        (0..2000)
            .filter(|at| after(text, &format!("host{at}.example.com"), &[]).is_some())
            .collect()
    }

    #[test]
    fn a_percentage_is_about_so_many_hosts_and_a_larger_one_takes_those_too() {
        let (few, more) = (taken("percent: 10"), taken("percent: 50"));
        assert!((160..240).contains(&few.len()), "{}", few.len());
        assert!((900..1100).contains(&more.len()), "{}", more.len());
        assert!(few.iter().all(|host| more.contains(host)));
        assert_eq!(taken("percent: 100").len(), 2000);
        assert_eq!(taken("percent: 0").len(), 0);
    }

    #[test]
    fn a_salt_has_others_be_the_first() {
        let (one, other) = (taken("percent: 10"), taken("{percent: 10, salt: kernel 6.12}"));
        let both = one.iter().filter(|host| other.contains(host)).count();
        assert!(both < one.len() / 3, "{both} of {}", one.len());
    }

    /// Hosts of different versions must agree: the number is a promise.
    #[test]
    fn a_place_is_what_it_is_said_to_be() {
        assert!((place("", "web1.example.com") - 41.82).abs() < 0.001);
    }

    #[test]
    fn a_host_is_in_the_first_wave_that_takes_it() {
        let text = "stages:\n  - {groups: [canary]}\n  - {hosts: ['db?'], after: 10m}\n  - {percent: 100, after: 1h}\n";
        assert_eq!(after(text, "web1", &["web", "canary"]), Some(0));
        assert_eq!(after(text, "db1", &[]), Some(600));
        assert_eq!(after(text, "db11", &[]), Some(3600));
        assert_eq!(after("stages: [{groups: [canary]}]", "db11", &[]), None);
        assert_eq!(after("salt: x", "db11", &[]), Some(0));
    }

    #[test]
    fn what_is_no_percentage_is_told_with_its_place() {
        for (text, says) in [
            ("percent: 101", "fleet.yml:1:10: `percent`: found `101`"),
            ("stages: [{percent: many}]", "fleet.yml:1:20: `percent`: found `many`"),
            ("{percent: 1, stages: [{percent: 2}]}", "two ways to say the same"),
            ("stages: [{hosts: ['web[']}]", "is not the name of a host"),
        ] {
            let mut complaints = Vec::new();
            rollout(text).turn("web1", &[], &mut complaints);
            assert!(complaints[0].to_string().contains(says), "{text}: {complaints:?}");
        }
    }
}
