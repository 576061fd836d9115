//! `systemd`: how its units are, and what single services, sockets and timers have done.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::collector::{CollectError, Collector, reading};
use super::families::labels;
use super::filter::Filter;
use crate::event::metric::{Family, MetricKind};
use crate::host::bus::{Bus, Call, Value, Way};
use crate::host::roots::Roots;

/// What to tell of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Units, by name. Where no `exclude` is given, automounts, devices, mounts, scopes and slices
    /// are left out.
    pub units: Filter,
    /// Tell when each unit became active.
    pub start_times: bool,
    /// Tell how many tasks each service has, and may have.
    pub tasks: bool,
    /// Tell how often each service was started again.
    pub restarts: bool,
}

/// Kinds of units that are left out where nothing is said.
const EXCLUDED: [&str; 5] = [".automount", ".device", ".mount", ".scope", ".slice"];

/// The states that a unit may be in.
const STATES: [&str; 5] = ["active", "activating", "deactivating", "inactive", "failed"];

const SERVICE: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "/org/freedesktop/systemd1";

/// A property of some units that is a number, and the family that it belongs to.
struct Property {
    /// How the names of the units end that have it.
    ending: &'static str,
    /// The part of systemd's interface that it belongs to.
    interface: &'static str,
    name: &'static str,
    family: &'static str,
    kind: MetricKind,
    /// How many of its units make one of the family's.
    per_unit: f64,
    help: &'static str,
    is_wanted: fn(&Options) -> bool,
}

const ACTIVE_SINCE: &str = "ActiveEnterTimestamp";
const MICROSECONDS: f64 = 1e6;

const PROPERTIES: [Property; 8] = {
    use MetricKind::{Counter, Gauge};
    const SERVICES: &str = "org.freedesktop.systemd1.Service";
    const SOCKETS: &str = "org.freedesktop.systemd1.Socket";
    [
        Property {
            ending: ".service",
            interface: SERVICES,
            name: "NRestarts",
            family: "node_systemd_service_restart_total",
            kind: Counter,
            per_unit: 1.0,
            help: "Times that systemd started the service again.",
            is_wanted: |options| options.restarts,
        },
        Property {
            ending: ".socket",
            interface: SOCKETS,
            name: "NAccepted",
            family: "node_systemd_socket_accepted_connections_total",
            kind: Counter,
            per_unit: 1.0,
            help: "Connections that the socket accepted.",
            is_wanted: |_| true,
        },
        Property {
            ending: ".socket",
            interface: SOCKETS,
            name: "NConnections",
            family: "node_systemd_socket_current_connections",
            kind: Gauge,
            per_unit: 1.0,
            help: "Connections that are open now.",
            is_wanted: |_| true,
        },
        Property {
            ending: ".socket",
            interface: SOCKETS,
            name: "NRefused",
            family: "node_systemd_socket_refused_connections_total",
            kind: Gauge,
            per_unit: 1.0,
            help: "Connections that were turned away.",
            is_wanted: |_| true,
        },
        Property {
            ending: ".timer",
            interface: "org.freedesktop.systemd1.Timer",
            name: "LastTriggerUSec",
            family: "node_systemd_timer_last_trigger_seconds",
            kind: Gauge,
            per_unit: MICROSECONDS,
            help: "When the timer last went off, in seconds since 1970.",
            is_wanted: |_| true,
        },
        Property {
            ending: "",
            interface: "org.freedesktop.systemd1.Unit",
            name: ACTIVE_SINCE,
            family: "node_systemd_unit_start_time_seconds",
            kind: Gauge,
            per_unit: MICROSECONDS,
            help: "When the unit became active, in seconds since 1970; 0 where it is not.",
            is_wanted: |options| options.start_times,
        },
        Property {
            ending: ".service",
            interface: SERVICES,
            name: "TasksCurrent",
            family: "node_systemd_unit_tasks_current",
            kind: Gauge,
            per_unit: 1.0,
            help: "Tasks of the service.",
            is_wanted: |options| options.tasks,
        },
        Property {
            ending: ".service",
            interface: SERVICES,
            name: "TasksMax",
            family: "node_systemd_unit_tasks_max",
            kind: Gauge,
            per_unit: 1.0,
            help: "Tasks that the service may have.",
            is_wanted: |options| options.tasks,
        },
    ]
};

/// Asks systemd: at its own socket, which is for root alone, else over the system's bus.
pub struct Systemd {
    bus: Bus,
    socket: PathBuf,
    options: Options,
}

/// A unit, as the list of all has it.
struct Unit<'a> {
    name: &'a str,
    load: &'a str,
    active: &'a str,
    path: &'a str,
}

impl Systemd {
    /// The collector for a host.
    pub fn new(roots: &Roots, options: &Options) -> Self {
        let socket = roots.file("/run/systemd/private");
        let bus = roots.file("/run/dbus/system_bus_socket");
        let ways = vec![Way::Private(socket.clone()), Way::Bus(bus)];
        Self { bus: Bus::new(ways), socket, options: options.clone() }
    }

    fn ask(&mut self, calls: &[Call<'_>]) -> Result<Vec<Result<Value, String>>, CollectError> {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        self.bus.ask(calls).map_err(|error| match error.kind() {
            NotFound | ConnectionRefused => CollectError::NoData,
            _ => reading(&self.socket)(error),
        })
    }

    /// What `properties` of units are: by unit and property, those that are there.
    fn properties<'u>(
        &mut self,
        wanted: &[(&'u Unit<'u>, [&'static str; 2])],
    ) -> Result<HashMap<(&'u str, &'static str), Value>, CollectError> {
        let calls: Vec<Call<'_>> =
            wanted.iter().map(|(unit, what)| property(unit.path, what)).collect();
        let answers = self.ask(&calls)?;
        // A unit may have gone since it was listed, and an old systemd lacks some properties.
        let told = wanted.iter().zip(answers).filter_map(|((unit, [_, name]), answer)| {
            let value = answer.ok()?;
            Some(((unit.name, *name), value))
        });
        Ok(told.collect())
    }
}

fn property<'a>(path: &'a str, what: &'a [&'a str; 2]) -> Call<'a> {
    Call {
        destination: SERVICE,
        path,
        interface: "org.freedesktop.DBus.Properties",
        method: "Get",
        arguments: what,
    }
}

impl Options {
    fn wants(&self, unit: &Unit<'_>) -> bool {
        let unasked = self.units.exclude.is_some()
            || !EXCLUDED.iter().any(|ending| unit.name.ends_with(ending));
        unit.load == "loaded" && unasked && self.units.allows(unit.name)
    }

    /// The properties that are asked for of a unit, the interface first.
    fn asks(&self, unit: &Unit<'_>) -> Vec<[&'static str; 2]> {
        let mut asked = Vec::new();
        if unit.name.ends_with(".service") {
            asked.push(["org.freedesktop.systemd1.Service", "Type"]);
        } else if unit.name.ends_with(".mount") {
            asked.push(["org.freedesktop.systemd1.Mount", "Type"]);
        }
        let own = PROPERTIES.iter().filter(|property| {
            unit.name.ends_with(property.ending)
                && (property.is_wanted)(self)
                && (property.name != ACTIVE_SINCE || unit.active == "active")
        });
        asked.extend(own.map(|property| [property.interface, property.name]));
        asked
    }
}

impl Collector for Systemd {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        const OF_MANAGER: [[&str; 2]; 3] = [
            ["org.freedesktop.systemd1.Manager", "Version"],
            ["org.freedesktop.systemd1.Manager", "Virtualization"],
            ["org.freedesktop.systemd1.Manager", "SystemState"],
        ];
        let mut calls: Vec<Call<'_>> =
            OF_MANAGER.iter().map(|what| property(MANAGER, what)).collect();
        calls.push(Call {
            destination: SERVICE,
            path: MANAGER,
            interface: "org.freedesktop.systemd1.Manager",
            method: "ListUnits",
            arguments: &[],
        });
        let mut answers = self.ask(&calls)?.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Err("no answer".to_owned()));
        let [version, virtualization, state] =
            [next(), next(), next()].map(|answer| answer.ok()?.text().map(str::to_owned));
        let list = next().map_err(|refusal| reading(&self.socket)(io::Error::other(refusal)))?;

        let units: Vec<Unit<'_>> = list.list().iter().filter_map(Unit::read).collect();
        let told: Vec<&Unit<'_>> = units.iter().filter(|unit| self.options.wants(unit)).collect();
        let asked = |unit: &&'_ Unit<'_>| self.options.asks(unit);
        let wanted: Vec<_> = told
            .iter()
            .flat_map(|unit| asked(unit).into_iter().map(|what| (*unit, what)))
            .collect();
        let known = self.properties(&wanted)?;
        out.push(version_of(version.as_deref().unwrap_or_default()));
        out.push(virtualization_of(virtualization.as_deref()));
        if let Some(state) = state {
            out.push(Family::single(
                "node_systemd_system_running",
                MetricKind::Gauge,
                "Whether everything runs that should: 1 yes, 0 no.",
                if state == "running" { 1.0 } else { 0.0 },
            ));
        }
        out.push(summary(&units));
        out.push(states(&told, &known));
        for property in &PROPERTIES {
            out.push(property.family(&told, &known, &self.options));
        }
        Ok(())
    }
}

impl<'a> Unit<'a> {
    /// One entry of the list: name, description, load, active, sub, followed, path, and its job.
    fn read(entry: &'a Value) -> Option<Self> {
        let text = |at: usize| entry.list().get(at)?.text();
        Some(Self { name: text(0)?, load: text(2)?, active: text(3)?, path: text(6)? })
    }
}

impl Property {
    fn family(
        &self,
        units: &[&Unit<'_>],
        known: &HashMap<(&str, &'static str), Value>,
        options: &Options,
    ) -> Family {
        let mut family = Family::new(self.family, self.kind, self.help);
        let own = units.iter().filter(|unit| unit.name.ends_with(self.ending));
        for unit in own.filter(|_| (self.is_wanted)(options)) {
            let is_inactive = self.name == ACTIVE_SINCE && unit.active != "active";
            let told = known.get(&(unit.name, self.name)).and_then(Value::number);
            // The largest number stands for none.
            let value = if is_inactive { Some(0) } else { told.filter(|told| *told < u64::MAX) };
            if let Some(value) = value {
                family.push(labels([("name", unit.name)]), value as f64 / self.per_unit);
            }
        }
        family
    }
}

fn states(units: &[&Unit<'_>], known: &HashMap<(&str, &'static str), Value>) -> Family {
    let help = "Whether a unit is in this state: 1 yes, 0 no.";
    let mut family = Family::new("node_systemd_unit_state", MetricKind::Gauge, help);
    for unit in units {
        let kind = known.get(&(unit.name, "Type")).and_then(Value::text).unwrap_or_default();
        for state in STATES {
            let told = labels([("name", unit.name), ("state", state), ("type", kind)]);
            family.push(told, if state == unit.active { 1.0 } else { 0.0 });
        }
    }
    family
}

/// All units that systemd has in memory, by state, whatever is told of single ones.
fn summary(units: &[Unit<'_>]) -> Family {
    let mut counts: HashMap<&str, u32> = STATES.map(|state| (state, 0)).into();
    for unit in units {
        *counts.entry(unit.active).or_default() += 1;
    }
    let mut family =
        Family::new("node_systemd_units", MetricKind::Gauge, "Units in memory, by state.");
    for (state, count) in counts {
        family.push(labels([("state", state)]), f64::from(count));
    }
    family
}

/// The value is the version's number: 252.39 of `252.39-1~deb12u2`.
fn version_of(version: &str) -> Family {
    let mut family =
        Family::new("node_systemd_version", MetricKind::Gauge, "The version, as a number.");
    let number = version_number(version);
    let version = if number.is_some() { version } else { "" };
    family.push(labels([("version", version)]), number.unwrap_or(0.0));
    family
}

/// The first three digits or more, and a dot with more digits behind them.
fn version_number(version: &str) -> Option<f64> {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let digits = |text: &str| text.bytes().take_while(is_digit).count();
    let mut starts = version.char_indices().map(|(at, _)| at);
    let start = starts.find(|at| digits(&version[*at..]) >= 3)?;
    let rest = &version[start..];
    let whole = digits(rest);
    let fraction = rest[whole..].strip_prefix('.').map_or(0, digits);
    let end = if fraction > 0 { whole + 1 + fraction } else { whole };
    rest[..end].parse().ok()
}

fn virtualization_of(told: Option<&str>) -> Family {
    let kind = match told {
        None => "unknown",
        Some("") => "none",
        Some(kind) => kind,
    };
    let help = "What systemd found the host to run inside of; always 1.";
    let mut family = Family::new("node_systemd_virtualization_info", MetricKind::Gauge, help);
    family.push(labels([("virtualization_type", kind)]), 1.0);
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_in_whatever_surrounds_it() {
        let cases = [
            ("252.39-1~deb12u2", Some(252.39)),
            ("systemd 255 (255.4)", Some(255.0)),
            ("257~rc1", Some(257.0)),
            ("v25", None),
            ("", None),
        ];
        for (version, number) in cases {
            assert_eq!(version_number(version), number, "{version}");
        }
    }

    #[test]
    fn units_of_no_interest_are_left_out_unless_they_are_asked_for() {
        let options = |text: &str| serde_json::from_str::<Options>(text).unwrap();
        let unit = |name, load| Unit { name, load, active: "active", path: "/" };
        let unasked = Options::default();
        assert!(unasked.wants(&unit("ssh.service", "loaded")));
        assert!(!unasked.wants(&unit("ssh.service", "not-found")));
        assert!(!unasked.wants(&unit("-.mount", "loaded")));
        let asked = options(r#"{"units": {"exclude": "^ssh"}}"#);
        assert!(asked.wants(&unit("-.mount", "loaded")));
        assert!(!asked.wants(&unit("ssh.service", "loaded")));
        assert_eq!(unasked.asks(&unit("ssh.service", "loaded")).len(), 1, "its type");
        let all = options(r#"{"start_times": true, "tasks": true, "restarts": true}"#);
        assert_eq!(all.asks(&unit("ssh.service", "loaded")).len(), 5);
    }

    #[test]
    fn a_host_without_systemd_has_nothing_of_the_kind() {
        let host = tempfile::tempdir().unwrap();
        let mut systemd = Systemd::new(&Roots::below(host.path()), &Options::default());
        let outcome = systemd.collect(&mut Vec::new());
        assert!(matches!(outcome, Err(CollectError::NoData)), "{outcome:?}");
    }
}
