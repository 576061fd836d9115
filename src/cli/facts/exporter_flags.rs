//! The flags of `driftless facts exporter`, which are `node_exporter`'s, and the settings that each
//! of them stands for.

use crate::event::tree::{Key, Node, SourceFile, Span, Value};
use crate::sources::host_metrics::COLLECTORS;
use clap::{Arg, ArgAction, ArgMatches};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// A flag that stands for a setting of a collector.
struct Flag {
    name: &'static str,
    kind: Kind,
    /// Where the setting is: the collector's name, then a name inside for each level.
    place: &'static [&'static str],
    help: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Takes one text.
    Text,
    /// Takes one expression, which must fit a whole name.
    Whole,
    /// Takes a text each time that it is given.
    List,
    /// Takes words between commas.
    Words,
    /// Says yes; with `no-` in front, no.
    Switch,
    /// A switch that unit files may have and that changes nothing here.
    Idle,
    /// The same with a text.
    IdleText,
}

impl Kind {
    fn is_switch(self) -> bool {
        matches!(self, Self::Switch | Self::Idle)
    }
}

const fn text(name: &'static str, place: &'static [&'static str], help: &'static str) -> Flag {
    Flag { name, kind: Kind::Text, place, help }
}

const fn whole(name: &'static str, place: &'static [&'static str], help: &'static str) -> Flag {
    Flag { name, kind: Kind::Whole, place, help }
}

const fn list(name: &'static str, place: &'static [&'static str], help: &'static str) -> Flag {
    Flag { name, kind: Kind::List, place, help }
}

const fn switch(name: &'static str, place: &'static [&'static str], help: &'static str) -> Flag {
    Flag { name, kind: Kind::Switch, place, help }
}

const fn idle(name: &'static str) -> Flag {
    Flag { name, kind: Kind::Idle, place: &[], help: IDLE }
}

const fn words(name: &'static str, place: &'static [&'static str], help: &'static str) -> Flag {
    Flag { name, kind: Kind::Words, place, help }
}

const IDLE: &str = "Changes nothing: netlink is asked wherever /proc is this host's own";
const NOT: &str = "Regular expression of what to leave out";
const ONLY: &str = "Regular expression of what to tell of alone";

const FLAGS: &[Flag] = &[
    text("collector.arp.device-exclude", &["arp", "devices", "exclude"], NOT),
    text("collector.arp.device-include", &["arp", "devices", "include"], ONLY),
    idle("collector.arp.netlink"),
    switch(
        "collector.bcache.priorityStats",
        &["bcache", "priority_stats"],
        "Tell how the cache is used",
    ),
    switch("collector.cpu.guest", &["cpu", "guest"], "Tell of virtual machines' time"),
    switch("collector.cpu.info", &["cpu", "info"], "Tell what the processors are"),
    text("collector.cpu.info.bugs-include", &["cpu", "bugs"], "Bugs of processors to tell of"),
    text("collector.cpu.info.flags-include", &["cpu", "flags"], "Flags of processors to tell of"),
    text("collector.diskstats.device-exclude", &["diskstats", "devices", "exclude"], NOT),
    text("collector.diskstats.ignored-devices", &["diskstats", "devices", "exclude"], NOT),
    text("collector.diskstats.device-include", &["diskstats", "devices", "include"], ONLY),
    text("collector.filesystem.fs-types-exclude", &["filesystem", "fs_types", "exclude"], NOT),
    text("collector.filesystem.fs-types-include", &["filesystem", "fs_types", "include"], ONLY),
    text("collector.filesystem.ignored-fs-types", &["filesystem", "fs_types", "exclude"], NOT),
    text(
        "collector.filesystem.ignored-mount-points",
        &["filesystem", "mount_points", "exclude"],
        NOT,
    ),
    text(
        "collector.filesystem.mount-timeout",
        &["filesystem", "mount_timeout"],
        "How long all mounts together may take to answer",
    ),
    text(
        "collector.filesystem.mount-points-exclude",
        &["filesystem", "mount_points", "exclude"],
        NOT,
    ),
    text(
        "collector.filesystem.mount-points-include",
        &["filesystem", "mount_points", "include"],
        ONLY,
    ),
    Flag {
        name: "collector.filesystem.stat-workers",
        kind: Kind::IdleText,
        place: &[],
        help: "Changes nothing: there are as many as it takes",
    },
    text("collector.hwmon.chip-exclude", &["hwmon", "chips", "exclude"], NOT),
    text("collector.hwmon.chip-include", &["hwmon", "chips", "include"], ONLY),
    text("collector.hwmon.sensor-exclude", &["hwmon", "sensors", "exclude"], NOT),
    text("collector.hwmon.sensor-include", &["hwmon", "sensors", "include"], ONLY),
    switch(
        "collector.interrupts.include-zeros",
        &["interrupts", "include_zeros"],
        "Tell of interrupts that have not come yet",
    ),
    text("collector.interrupts.name-exclude", &["interrupts", "names", "exclude"], NOT),
    text("collector.interrupts.name-include", &["interrupts", "names", "include"], ONLY),
    words(
        "collector.ipvs.backend-labels",
        &["ipvs", "backend_labels"],
        "Labels that tell servers apart, between commas",
    ),
    switch(
        "collector.netclass.ignore-invalid-speed",
        &["netclass", "ignore_invalid_speed"],
        "Leave out the speed of interfaces that do not know it",
    ),
    text("collector.netclass.ignored-devices", &["netclass", "devices", "exclude"], NOT),
    idle("collector.netclass.netlink"),
    Flag {
        name: "collector.netclass_rtnl.with-stats",
        kind: Kind::Idle,
        place: &[],
        help: "Changes nothing: `netdev` tells what went through interfaces, by the same answer",
    },
    switch(
        "collector.netdev.address-info",
        &["netdev", "address_info"],
        "Tell of the interfaces' addresses",
    ),
    text("collector.netdev.device-exclude", &["netdev", "devices", "exclude"], NOT),
    text("collector.netdev.device-include", &["netdev", "devices", "include"], ONLY),
    switch(
        "collector.netdev.enable-detailed-metrics",
        &["netdev", "detailed"],
        "Tell of each of the kernel's counters under its own name",
    ),
    switch(
        "collector.netdev.label-ifalias",
        &["netdev", "alias_label"],
        "Tell of interfaces with their alias",
    ),
    idle("collector.netdev.netlink"),
    text("collector.netstat.fields", &["netstat", "fields"], "Counters to tell of"),
    text(
        "collector.powersupply.ignored-supplies",
        &["powersupplyclass", "supplies", "exclude"],
        NOT,
    ),
    text("collector.qdisc.device-exclude", &["qdisc", "devices", "exclude"], NOT),
    text("collector.qdisc.device-include", &["qdisc", "devices", "include"], ONLY),
    switch("collector.rapl.enable-zone-label", &["rapl", "zone_label"], "One family for all zones"),
    text("collector.slabinfo.slabs-exclude", &["slabinfo", "slabs", "exclude"], NOT),
    text("collector.slabinfo.slabs-include", &["slabinfo", "slabs", "include"], ONLY),
    switch("collector.stat.softirq", &["stat", "softirq"], "Tell of soft interrupts by kind"),
    list("collector.sysctl.include", &["sysctl", "include"], "A setting that is numbers"),
    list("collector.sysctl.include-info", &["sysctl", "include_info"], "A setting that is words"),
    switch(
        "collector.systemd.enable-restarts-metrics",
        &["systemd", "restarts"],
        "Tell how often each service was started again",
    ),
    switch(
        "collector.systemd.enable-start-time-metrics",
        &["systemd", "start_times"],
        "Tell when each unit became active",
    ),
    switch(
        "collector.systemd.enable-task-metrics",
        &["systemd", "tasks"],
        "Tell how many tasks each service has",
    ),
    whole("collector.systemd.unit-exclude", &["systemd", "units", "exclude"], NOT),
    whole("collector.systemd.unit-include", &["systemd", "units", "include"], ONLY),
    text("collector.tapestats.ignored-devices", &["tapestats", "devices", "exclude"], NOT),
    list(
        "collector.textfile.directory",
        &["textfile", "directories"],
        "A directory with files of metrics",
    ),
    text("collector.vmstat.fields", &["vmstat", "fields"], "Entries to tell of"),
];

/// Names in all forms that the command line has: plain, and with `no-` in front.
struct Names {
    collectors: Vec<[String; 2]>,
    switches: BTreeMap<&'static str, String>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let both = |name| [format!("collector.{name}"), format!("no-collector.{name}")];
    let switches = FLAGS.iter().filter(|flag| flag.kind.is_switch());
    Names {
        collectors: COLLECTORS.iter().map(|entry| both(entry.name)).collect(),
        switches: switches.map(|flag| (flag.name, format!("no-{}", flag.name))).collect(),
    }
});

/// What the flags of the collectors say.
#[derive(Debug)]
pub(super) struct Collectors {
    /// Names of those to run.
    pub(super) collect: Vec<&'static str>,
    /// Their settings, as `options` of the source has them.
    pub(super) options: Node,
}

const DISABLE_DEFAULTS: &str = "collector.disable-defaults";

impl clap::Args for Collectors {
    fn augment_args(mut command: clap::Command) -> clap::Command {
        const GROUP: &str = "Collectors";
        let switch = |name: &'static str, other: &'static str| {
            let arg = Arg::new(name).long(name).action(ArgAction::SetTrue).help_heading(GROUP);
            arg.overrides_with(other)
        };
        command = command.arg(
            Arg::new(DISABLE_DEFAULTS)
                .long(DISABLE_DEFAULTS)
                .action(ArgAction::SetTrue)
                .help_heading(GROUP)
                .help("Run only the collectors that are named"),
        );
        for ([yes, no], entry) in NAMES.collectors.iter().zip(COLLECTORS) {
            let default = if entry.is_default { "runs unasked" } else { "does not run unasked" };
            command = command
                .arg(switch(yes, no).help(format!("Run `{}`, which {default}", entry.name)))
                .arg(switch(no, yes).hide(true).help(format!("Do not run `{}`", entry.name)));
        }
        for flag in FLAGS {
            let arg = Arg::new(flag.name).long(flag.name).help_heading(GROUP).help(flag.help);
            command = match flag.kind {
                Kind::Text | Kind::Whole | Kind::Words | Kind::IdleText => {
                    command.arg(arg.action(ArgAction::Set).value_name("TEXT"))
                }
                Kind::List => command.arg(arg.action(ArgAction::Append).value_name("TEXT")),
                Kind::Switch | Kind::Idle => match NAMES.switches.get(flag.name) {
                    Some(no) => command
                        .arg(switch(flag.name, no).help(flag.help))
                        .arg(switch(no, flag.name).hide(true).help("The opposite")),
                    None => command,
                },
            };
        }
        command
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Collectors {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let no_defaults = matches.get_flag(DISABLE_DEFAULTS);
        let runs = |([yes, no], entry): (&[String; 2], &crate::sources::host_metrics::Entry)| {
            let unasked = entry.is_default && !no_defaults;
            (matches.get_flag(yes) || (unasked && !matches.get_flag(no))).then_some(entry.name)
        };
        let collect = NAMES.collectors.iter().zip(COLLECTORS).filter_map(runs).collect();
        let mut options = Node::new(Value::Map(Vec::new()));
        for flag in FLAGS {
            let value = match flag.kind {
                Kind::Text => {
                    matches.get_one::<String>(flag.name).map(|text| argument(flag.name, text))
                }
                Kind::Whole => matches
                    .get_one::<String>(flag.name)
                    .map(|text| argument(flag.name, &format!("^(?:{text})$"))),
                Kind::List => matches.get_many::<String>(flag.name).map(|texts| {
                    let texts = texts.map(|text| argument(flag.name, text));
                    Node::new(Value::List(texts.collect()))
                }),
                Kind::Words => matches.get_one::<String>(flag.name).map(|text| {
                    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                    Node::new(Value::List(words.map(|word| argument(flag.name, word)).collect()))
                }),
                Kind::Idle | Kind::IdleText => None,
                Kind::Switch => {
                    let no = NAMES.switches.get(flag.name);
                    let no = no.is_some_and(|no| matches.get_flag(no));
                    (no || matches.get_flag(flag.name)).then(|| truth(!no))
                }
            };
            if let Some(value) = value {
                put(&mut options, flag.place, value);
            }
        }
        Ok(Self { collect, options })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Puts a value where its place says, and makes the levels above it.
fn put(node: &mut Node, place: &[&str], value: Node) {
    let (Some((name, below)), Value::Map(entries)) = (place.split_first(), &mut node.value) else {
        *node = value;
        return;
    };
    let at = entries.iter().position(|(key, _)| &*key.name == *name).unwrap_or_else(|| {
        entries.push((Key::from(*name), Node::new(Value::Map(Vec::new()))));
        entries.len() - 1
    });
    if let Some((_, node)) = entries.get_mut(at) {
        if below.is_empty() {
            *node = value;
        } else {
            put(node, below, value);
        }
    }
}

/// Yes or no.
pub(super) fn truth(value: bool) -> Node {
    Node::new(Value::Bool { value, text: if value { "true" } else { "false" }.into() })
}

/// A flag's value with a place, so that complaints point into it.
pub(super) fn argument(flag: &str, text: &str) -> Node {
    let path = format!("--{flag}");
    let file = SourceFile::new(Path::new(&path).into(), text.to_owned());
    let span = Span { file: Arc::new(file), start: 0, end: text.len() };
    Node { value: Value::String(text.into()), span: Some(span) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, FromArgMatches as _};

    fn told(flags: &[&str]) -> Result<Collectors, String> {
        let command = Collectors::augment_args(clap::Command::new("exporter").no_binary_name(true));
        let matches = command.try_get_matches_from(flags).map_err(|error| error.to_string())?;
        Collectors::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn collectors_are_switched_as_node_exporter_switches_them() {
        let unasked = told(&[]).unwrap().collect;
        assert!(unasked.contains(&"cpu") && !unasked.contains(&"swap"));
        let switched = told(&["--no-collector.cpu", "--collector.swap"]).unwrap().collect;
        assert!(!switched.contains(&"cpu") && switched.contains(&"swap"));
        let only = told(&["--collector.disable-defaults", "--collector.cpu"]).unwrap().collect;
        assert_eq!(only, ["cpu"]);
        assert!(told(&["--collector.cpus"]).is_err());
    }

    #[test]
    fn a_flag_becomes_the_setting_that_it_stands_for() {
        let told = told(&[
            "--collector.filesystem.mount-points-exclude=^/x",
            "--collector.filesystem.fs-types-include",
            "ext4",
            "--no-collector.cpu.guest",
            "--collector.textfile.directory=/a",
            "--collector.textfile.directory=/b",
            "--collector.ipvs.backend-labels=proto,local_port",
            "--collector.filesystem.stat-workers=8",
        ]);
        let expected = serde_json::json!({
            "cpu": {"guest": false},
            "filesystem": {"fs_types": {"include": "ext4"}, "mount_points": {"exclude": "^/x"}},
            "ipvs": {"backend_labels": ["proto", "local_port"]},
            "textfile": {"directories": ["/a", "/b"]},
        });
        assert_eq!(json(&told.unwrap().options), expected);
    }

    fn json(node: &Node) -> serde_json::Value {
        match &node.value {
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| (key.name.to_string(), json(node)));
                entries.collect::<serde_json::Map<_, _>>().into()
            }
            Value::List(items) => items.iter().map(json).collect(),
            Value::String(text) => (&**text).into(),
            Value::Bool { value, .. } => (*value).into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_flag_stands_for_a_setting_that_there_is() {
        use crate::sources::host_metrics::options::Options;
        let idle = [Kind::Idle, Kind::IdleText];
        for flag in FLAGS.iter().filter(|flag| !idle.contains(&flag.kind)) {
            let mut options = Node::new(Value::Map(Vec::new()));
            let value = match flag.kind {
                // An expression, and a time.
                Kind::Text | Kind::Whole | Kind::IdleText => Node::string("5s"),
                Kind::Words => Node::new(Value::List(vec![Node::string("proto")])),
                Kind::List => Node::new(Value::List(vec![Node::string("5s")])),
                Kind::Switch | Kind::Idle => truth(true),
            };
            put(&mut options, flag.place, value);
            let read = serde_json::from_value::<Options>(json(&options));
            assert!(read.is_ok(), "{}: {:?}", flag.name, read.err());
        }
    }
}
