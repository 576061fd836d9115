//! `logind`: who is logged in, and how.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::collector::{CollectError, Collector};
use super::families::labels;
use crate::event::metric::{Family, MetricKind};
use crate::host::roots::Roots;
use crate::host::sysfs;

/// What a session may be for; another is the first.
const CLASSES: [&str; 5] = ["other", "user", "greeter", "lock-screen", "background"];
/// What a session may run on; another is the first.
const TYPES: [&str; 7] = ["other", "unspecified", "tty", "x11", "wayland", "mir", "web"];

/// Reads what logind keeps in `/run/systemd/sessions` and `/run/systemd/seats`, so that the bus need
/// not be asked.
pub struct Logind {
    sessions: PathBuf,
    seats: PathBuf,
}

impl Logind {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self {
            sessions: roots.file("/run/systemd/sessions"),
            seats: roots.file("/run/systemd/seats"),
        }
    }
}

impl Collector for Logind {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        if !self.sessions.is_dir() {
            return Err(CollectError::NoData);
        }
        let mut count: BTreeMap<Session, u32> = BTreeMap::new();
        for name in sysfs::names(&self.sessions) {
            // Beside each session lies a pipe, which must not be waited for.
            let path = self.sessions.join(name);
            if path.is_file()
                && let Some(text) = sysfs::text(path)
            {
                *count.entry(Session::parse(&text)).or_default() += 1;
            }
        }
        // Sessions from elsewhere have no seat.
        let mut seats = vec![String::new()];
        seats.extend(sysfs::names(&self.seats));
        seats.extend(count.keys().map(|session| session.seat.clone()));
        seats.sort();
        seats.dedup();
        let mut family = Family::new(
            "node_logind_sessions",
            MetricKind::Gauge,
            "Sessions, by what they are for and where they come from.",
        );
        for seat in seats {
            for (is_remote, remote) in [(false, "false"), (true, "true")] {
                for class in CLASSES {
                    for kind in TYPES {
                        let session = Session { class, is_remote, seat: seat.clone(), kind };
                        let number = count.get(&session).copied().unwrap_or(0);
                        let told = [
                            ("class", class),
                            ("remote", remote),
                            ("seat", &*seat),
                            ("type", kind),
                        ];
                        family.push(labels(told), f64::from(number));
                    }
                }
            }
        }
        out.push(family);
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Session {
    class: &'static str,
    is_remote: bool,
    seat: String,
    kind: &'static str,
}

impl Session {
    /// Lines `NAME=value`.
    fn parse(text: &str) -> Self {
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
        };
        let among = |known: &[&'static str], value: &str| {
            known.iter().find(|known| **known == value).copied().unwrap_or("other")
        };
        Self {
            class: among(&CLASSES, value("CLASS")),
            is_remote: value("REMOTE") == "1",
            seat: value("SEAT").to_owned(),
            kind: among(&TYPES, value("TYPE")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::metric::SampleValue;
    use std::fs;

    #[test]
    fn a_session_counts_where_it_belongs_and_all_others_are_nought() {
        let host = tempfile::tempdir().unwrap();
        let folder = host.path().join("run/systemd/sessions");
        fs::create_dir_all(&folder).unwrap();
        let text = "# logind's own\nUID=0\nREMOTE=1\nTYPE=tty\nCLASS=user\n";
        fs::write(folder.join("3"), text).unwrap();
        let mut families = Vec::new();
        Logind::new(&Roots::below(host.path())).collect(&mut families).unwrap();
        let samples = &families[0].samples;
        assert_eq!(samples.len(), 2 * CLASSES.len() * TYPES.len());
        let told: Vec<_> = samples.iter().filter(|s| s.value != SampleValue::Number(0.0)).collect();
        let labels: Vec<&str> = told[0].labels.iter().map(|(_, value)| &**value).collect();
        assert_eq!((told.len(), &labels[..]), (1, &["user", "true", "", "tty"][..]));
    }
}
