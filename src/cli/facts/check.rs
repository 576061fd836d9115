//! `driftless facts check`: how the checks and alerts of a config are now, for people and for Nagios.

use super::super::Exit;
use super::super::session::Session;
use super::super::shell::{Output, Shell};
use crate::event::de::from_node;
use crate::event::fault::{Diagnostic, nearest};
use crate::event::metric::MetricBatch;
use crate::host::clock;
use crate::sources::host_metrics;
use crate::sources::host_metrics::runner::Collectors;
use crate::topology::settings::Period;
use crate::transforms::threshold::{self, Finding, Glance, Level, Standing};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Show how the checks and alerts of a config are now: those named, or all. The exit status is 0
/// where all is well, 1 for warning, 2 for critical and 3 where it is not known.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A check is made once, on this host, without an agent: what takes time (`for`, `clear_for`,
`flap`) does not count. One that looks back (`rate(x[5m])`) needs --wait 5m.
An alert of `rule_files` is critical where its label `severity` is critical, page, error or
emergency, well where that is none or info, and a warning else.

Examples:
  driftless facts check
  driftless facts check 'disk space' --nagios
  driftless facts check --config /etc/driftless/config --wait 5m")]
pub(super) struct Args {
    /// Names of checks and alerts.
    names: Vec<String>,
    /// Directories or files of the config; the installed config where none is given.
    #[arg(long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// One line and performance data, as a Nagios plugin prints them.
    #[arg(long)]
    nagios: bool,
    /// Gather values for so long before.
    #[arg(long, default_value = "0s")]
    wait: Period,
}

/// How often values are gathered while it waits.
const PAUSE: Duration = Duration::from_secs(5);

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    match look(args, shell) {
        Ok((text, exit)) => {
            let written = shell.show(&text);
            shell.end(written, exit)
        }
        Err(complaints) => {
            if args.nagios {
                let why = complaints.first().map_or("", |complaint| complaint.message.as_str());
                let line = format!("UNKNOWN - {}\n", one_line(why));
                let written = shell.show(&line);
                return shell.end(written, Exit::Unknown);
            }
            shell.complain(&complaints, Output::Text);
            Exit::Unknown
        }
    }
}

fn look(args: &Args, shell: &Shell) -> Result<(String, Exit), Vec<Diagnostic>> {
    let config = Session::new(&args.config).load(&shell.masker)?;
    let nodes = config.graph.nodes.values();
    let mut checks: Option<threshold::Config> = None;
    for node in nodes.clone().filter(|node| &*node.type_name == "threshold") {
        let Some(settings) = node.spec.get("settings") else { continue };
        let more: threshold::Config = from_node(settings, "`threshold`")?;
        match &mut checks {
            Some(checks) => {
                checks.checks.extend(more.checks);
                checks.groups.extend(more.groups);
            }
            None => checks = Some(more),
        }
    }
    let Some(checks) = checks else {
        let complaint = Diagnostic::new("the config has no checks", None);
        let hint = "`thresholds` and `rule_files` in facts.yml say what is watched";
        return Err(vec![complaint.hint(hint)]);
    };
    let rules = checks.groups.iter().flat_map(|group| &group.rules);
    let alerts = rules.filter_map(|rule| rule.alert.as_deref());
    let known = checks.checks.iter().map(|check| check.name.as_str()).chain(alerts);
    for name in &args.names {
        if !known.clone().any(|known| known == name) {
            let complaint = Diagnostic::new(format!("there is no check or alert `{name}`"), None);
            let known = known.clone();
            return Err(vec![match nearest(name, known) {
                Some(meant) => complaint.hint(format!("did you mean `{meant}`?")),
                None => complaint.hint("`driftless facts check` shows all"),
            }]);
        }
    }
    let mut hosts = Vec::new();
    for node in nodes.filter(|node| &*node.type_name == "host_metrics") {
        let host: host_metrics::Config = from_node(&node.spec, "`host_metrics`")?;
        let collectors = host.collectors();
        hosts.push(collectors.map_err(|fault| vec![Diagnostic::new(fault.to_string(), None)])?);
    }
    let mut glance = Glance::new(&checks)
        .map_err(|reason| vec![Diagnostic::new(format!("`threshold`: {reason}"), None)])?;
    gather(&mut hosts, &mut glance, args.wait.0);
    let wanted = |name: &str| args.names.is_empty() || args.names.iter().any(|it| it == name);
    let findings = glance.findings(now_ms(), wanted);
    let text = if args.nagios { nagios(&findings) } else { listed(&findings) };
    let worst = findings.iter().map(|finding| finding.standing).max();
    Ok((text, exit_of(worst.unwrap_or(Standing::Unknown))))
}

fn now_ms() -> i64 {
    i64::try_from(clock::now().as_millis()).unwrap_or(i64::MAX)
}

/// Takes values now and then, until it has for `wait`.
fn gather(hosts: &mut [Collectors], glance: &mut Glance<'_>, wait: Duration) {
    let begun = Instant::now();
    loop {
        for collectors in &mut *hosts {
            let families = Arc::new(collectors.collect(|_| true));
            glance.take(&MetricBatch::new(families), now_ms());
        }
        let left = wait.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(PAUSE));
    }
}

fn exit_of(standing: Standing) -> Exit {
    match standing {
        Standing::Ok => Exit::Success,
        Standing::Warning => Exit::Failed,
        Standing::Critical => Exit::Pending,
        Standing::Unknown => Exit::Unknown,
    }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Ok => "ok",
        Standing::Warning => "warning",
        Standing::Critical => "critical",
        Standing::Unknown => "unknown",
    }
}

/// A line each.
fn listed(findings: &[Finding]) -> String {
    findings.iter().map(|it| format!("{:8}  {}\n", word(it.standing), told(it))).collect()
}

fn told(finding: &Finding) -> String {
    let mut text = finding.name.clone();
    if finding.labels.iter().next().is_some() {
        text.push_str(&format!(" {}", finding.labels));
    }
    match finding.value {
        Some(value) if finding.reason.is_empty() => text.push_str(&format!(" is {value}")),
        _ => text.push_str(&format!(": {}", finding.reason)),
    }
    one_line(&text)
}

fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() || char == '|' { ' ' } else { char }).collect()
}

/// `STATE - what is wrong | 'name'=value;warning;critical`
fn nagios(findings: &[Finding]) -> String {
    let worst = findings.first().map_or(Standing::Unknown, |finding| finding.standing);
    let bad: Vec<String> =
        findings.iter().filter(|it| it.standing != Standing::Ok).map(told).collect();
    let summary = match bad.as_slice() {
        [] => format!("{} values are as they should be", findings.len()),
        bad => bad.join(", "),
    };
    let data: Vec<String> = findings.iter().filter_map(performance).collect();
    let data = if data.is_empty() { String::new() } else { format!(" | {}", data.join(" ")) };
    format!("{} - {summary}{data}\n", word(worst).to_uppercase())
}

/// A value that is a number, with the ranges in which it is well.
fn performance(finding: &Finding) -> Option<String> {
    let value = finding.value.filter(|value| value.is_finite())?;
    let mut name = finding.name.clone();
    for (_, label) in finding.labels.iter() {
        name.push_str(&format!(" {label}"));
    }
    // Neither a quote nor a sign of equality may stand in a name.
    let name = one_line(&name).replace('\'', "''").replace('=', ":");
    let [warning, critical] = finding.levels.each_ref().map(range);
    Some(format!("'{name}'={value};{warning};{critical}"))
}

/// Where a value is well, as Nagios writes ranges: `10:` from 10 on, `~:90` up to 90.
fn range(level: &Option<Level>) -> String {
    let Some(level) = level else { return String::new() };
    match (level.below, level.above) {
        (Some(below), Some(above)) => format!("{below}:{above}"),
        (Some(below), None) => format!("{below}:"),
        (None, Some(above)) => format!("~:{above}"),
        (None, None) => String::new(),
    }
}
