//! `journald`: gives the entries of systemd's journal.

mod cursor;
mod export;
mod following;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod marks;

use crate::event::Kinds;
use crate::host::program::Program;
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::output::Output;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Gives the entries of systemd's journal, one record each. Fields have the names that journald
/// gives them, such as `_SYSTEMD_UNIT`, `PRIORITY` and `SYSLOG_IDENTIFIER`; only `MESSAGE` is
/// `message`. All values are text. The record's time is that of the program that logged, where it
/// said so (`_SOURCE_REALTIME_TIMESTAMP`), else that of the journal.
///
/// ```yaml
/// sources:
///   journal: {type: journald, units: [nginx, sshd], priority: warning}
/// ```
///
/// It runs `journalctl`, which every host with a journal has, and reads its export format: unlike
/// JSON it holds any bytes and any size as they are, and values need no unescaping. The agent's
/// user must be allowed to read the journal (root, or the group `systemd-journal`).
///
/// The cursor of the last entry that a sink has is kept in the data directory for each sink, at
/// most a second behind: after a restart, even a kill, each goes on there and loses nothing, and a
/// sink that is behind doubles nothing for the others. After a kill, entries of that last second
/// may come twice. An entry above 64MiB is left out, and counted as dropped.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Only entries of these units, and what systemd says about them; `nginx` means
    /// `nginx.service`, and `*` stands for anything.
    pub units: Vec<String>,
    /// No entries of these units. No patterns here.
    pub exclude_units: Vec<String>,
    /// Only entries of this priority and of more urgent ones.
    pub priority: Option<Priority>,
    /// Only entries with one of these identifiers (`SYSLOG_IDENTIFIER`).
    pub identifiers: Vec<String>,
    /// Only entries whose fields have one of these values: `{_TRANSPORT: [kernel, audit]}`.
    pub matches: BTreeMap<String, Vec<String>>,
    /// Which boots of the host to read. With `current`, what an earlier boot left behind
    /// unread is not read any more.
    pub boot: Boot,
    /// Where to begin at the first start, when there is no checkpoint yet.
    pub read_from: ReadFrom,
    /// At the first start, begin with entries of this time, in journalctl's words: `2026-11-23
    /// 10:00:00`, `yesterday`, `-2h`.
    pub since: Option<String>,
    /// A directory with journals, in place of the host's own.
    pub directory: Option<PathBuf>,
    /// Files of journals, in place of the host's own; `*` stands for anything.
    pub files: Vec<PathBuf>,
    /// The journals of a name space (`journalctl --namespace`), in place of the default one.
    pub namespace: Option<String>,
    /// The program to run, where it is not `journalctl` on the PATH.
    pub journalctl: Option<PathBuf>,
}

/// How urgent an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// 0
    Emerg,
    /// 1
    Alert,
    /// 2
    Crit,
    /// 3
    Err,
    /// 4
    Warning,
    /// 5
    Notice,
    /// 6
    Info,
    /// 7
    Debug,
}

/// Which boots to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Boot {
    /// All that the journal has.
    #[default]
    All,
    /// The one that is running.
    Current,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReadFrom {
    /// With the oldest entry.
    #[default]
    Beginning,
    /// With the first entry that comes after the start.
    End,
}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        self.check().map_err(Fault::fatal)?;
        self.program(None, true).check(&cx.env.masker).map_err(Fault::fatal)?;
        Ok(Box::new(Journald(self.clone())))
    }
}

impl Config {
    fn check(&self) -> Result<(), String> {
        if self.directory.is_some() && !self.files.is_empty() {
            return Err("`directory` and `files` are given; only one of them can be".to_owned());
        }
        if self.since.is_some() && self.read_from == ReadFrom::End {
            return Err(
                "`since` and `read_from: end` are given; only one of them can be".to_owned()
            );
        }
        let is_name = |name: &str| {
            let part =
                |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            !name.is_empty() && name.bytes().all(part)
        };
        match self.matches.keys().find(|name| !is_name(name)) {
            Some(name) => {
                Err(format!("`matches`: `{name}` is no field of a journal, such as `_TRANSPORT`"))
            }
            None => Ok(()),
        }
    }

    /// Whether the first start reads all that the journal has.
    fn reads_all(&self) -> bool {
        self.since.is_none() && self.read_from == ReadFrom::Beginning
    }

    /// The journalctl that gives what is wanted, after `cursor` where there is one.
    fn program(&self, cursor: Option<&str>, follow: bool) -> Program {
        let program =
            self.journalctl.as_deref().map_or("journalctl".into(), |path| path.to_string_lossy());
        let mut argv: Vec<String> =
            [&*program, "--output=export", "--no-pager", "--all"].map(str::to_owned).into();
        let mut say = |name: &str, value: &str| argv.push(format!("--{name}={value}"));
        for unit in &self.units {
            say("unit", unit);
        }
        for identifier in &self.identifiers {
            say("identifier", identifier);
        }
        if let Some(priority) = self.priority {
            say("priority", &(priority as u8).to_string());
        }
        if let Some(directory) = &self.directory {
            say("directory", &directory.to_string_lossy());
        }
        for file in &self.files {
            say("file", &file.to_string_lossy());
        }
        if let Some(namespace) = &self.namespace {
            say("namespace", namespace);
        }
        match (cursor, &self.since, self.read_from) {
            (Some(cursor), _, _) => say("after-cursor", cursor),
            (None, Some(since), _) => say("since", since),
            (None, None, ReadFrom::End) => say("lines", "0"),
            (None, None, ReadFrom::Beginning) => {}
        }
        // Without a word about it, `--follow` means the current boot.
        let boots = match self.boot {
            Boot::All => "--merge",
            Boot::Current => "--boot",
        };
        argv.push(boots.to_owned());
        if follow {
            argv.push("--follow".to_owned());
            if cursor.is_some() || self.read_from == ReadFrom::Beginning {
                argv.push("--no-tail".to_owned());
            }
        }
        for (name, values) in &self.matches {
            argv.extend(values.iter().map(|value| format!("{name}={value}")));
        }
        Program::new(argv)
    }

    /// The units to leave out, as journald names them.
    fn excluded(&self) -> Vec<String> {
        let full = |name: &String| {
            if name.contains('.') { name.clone() } else { format!("{name}.service") }
        };
        self.exclude_units.iter().map(full).collect()
    }
}

struct Journald(Config);

#[async_trait]
impl Source for Journald {
    async fn run(self: Box<Self>, out: Output, cx: SourceContext) -> Result<(), Fault> {
        following::run(self.0, out, cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_reaches_journalctl() {
        let config: Config = serde_json::from_value(serde_json::json!({
            "units": ["nginx", "app@*"],
            "priority": "warning",
            "identifiers": ["sudo"],
            "matches": {"_TRANSPORT": ["kernel", "audit"]},
            "boot": "current",
            "since": "-2h",
            "directory": "/mnt/journal",
            "namespace": "shop",
        }))
        .unwrap();
        insta::assert_snapshot!(
            config.program(None, true).argv.join(" "),
            @"journalctl --output=export --no-pager --all --unit=nginx --unit=app@* --identifier=sudo --priority=4 --directory=/mnt/journal --namespace=shop --since=-2h --boot --follow --no-tail _TRANSPORT=kernel _TRANSPORT=audit"
        );
        let end = Config { read_from: ReadFrom::End, ..Config::default() };
        insta::assert_snapshot!(
            end.program(None, true).argv.join(" "),
            @"journalctl --output=export --no-pager --all --lines=0 --merge --follow"
        );
        insta::assert_snapshot!(
            end.program(Some("s=1;i=2"), true).argv.join(" "),
            @"journalctl --output=export --no-pager --all --after-cursor=s=1;i=2 --merge --follow --no-tail"
        );
        let out = Config { exclude_units: vec!["cron".into(), "a.mount".into()], ..end };
        assert_eq!(out.excluded(), ["cron.service", "a.mount"]);
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let directory = Some("/a".into());
        let both = Config { directory, files: vec!["/b".into()], ..Config::default() };
        assert!(both.check().unwrap_err().contains("`directory` and `files`"));
        let matches = [("-x".to_owned(), Vec::new())].into();
        let odd = Config { matches, ..Config::default() };
        insta::assert_snapshot!(
            odd.check().unwrap_err(),
            @"`matches`: `-x` is no field of a journal, such as `_TRANSPORT`"
        );
    }
}
