//! A rule as arguments of `iptables`, in the order in which Ansible gives them.

use crate::sinks::apply::params::Params;
use crate::sinks::apply::tasks::values;

/// The arguments that make the rule; none where the parameters tell of no rule. `icmp` is the option for
/// the type of a message, which is another one with each version of IP.
pub(super) fn arguments(params: &Params, icmp: &str) -> Vec<String> {
    let text = |name| params.text(name);
    let jump = text("jump").or_else(|| {
        let logs = text("log_prefix").is_some() || text("log_level").is_some();
        logs.then_some("LOG")
    });
    let matches = values::list(params, "match");
    let has = |name: &str| matches.iter().any(|it| it == name);
    let mut rule = Rule::default();
    for (name, flag) in [("protocol", "-p"), ("source", "-s"), ("destination", "-d")] {
        rule.option(flag, text(name));
    }
    for one in &matches {
        rule.option("-m", Some(one));
    }
    if let Some([flags, set]) = tcp_flags(params) {
        rule.words(&["--tcp-flags", &flags.join(","), &set.join(",")]);
    }
    rule.option("-j", jump);
    if jump.is_some_and(|jump| jump.eq_ignore_ascii_case("tee")) {
        rule.option("--gateway", text("gateway"));
    }
    rule.option("--log-prefix", text("log_prefix"));
    rule.option("--log-level", text("log_level"));
    rule.option("--to-destination", text("to_destination"));
    rule.list("multiport", "--dports", &values::list(params, "destination_ports"));
    for (name, flag) in [
        ("to_source", "--to-source"),
        ("goto", "-g"),
        ("in_interface", "-i"),
        ("out_interface", "-o"),
        ("fragment", "-f"),
        ("set_counters", "-c"),
        ("source_port", "--source-port"),
        ("destination_port", "--destination-port"),
        ("to_ports", "--to-ports"),
        ("set_dscp_mark", "--set-dscp"),
        ("set_dscp_mark_class", "--set-dscp-class"),
    ] {
        rule.option(flag, text(name));
    }
    match text("syn") {
        Some("match") => rule.words(&["--syn"]),
        Some("negate") => rule.words(&["!", "--syn"]),
        _ => {}
    }
    let states = values::list(params, "ctstate");
    if !has("conntrack") && has("state") {
        rule.list("", "--state", &states);
    } else {
        rule.list(if has("conntrack") { "" } else { "conntrack" }, "--ctstate", &states);
    }
    let ranges = [("--src-range", text("src_range")), ("--dst-range", text("dst_range"))];
    rule.group((!has("iprange")).then_some("iprange"), &ranges);
    let set = [("--match-set", text("match_set"))];
    rule.group((!has("set")).then_some("set"), &set);
    if let (Some(_), Some(flags)) = (text("match_set"), text("match_set_flags")) {
        rule.words(&[flags]);
    }
    let limits = [("--limit", text("limit")), ("--limit-burst", text("limit_burst"))];
    rule.group(Some("limit"), &limits);
    rule.group(Some("owner"), &[("--uid-owner", text("uid_owner"))]);
    rule.group(Some("owner"), &[("--gid-owner", text("gid_owner"))]);
    if jump.is_none() && text("reject_with").is_some() {
        rule.words(&["-j", "REJECT"]);
    }
    rule.option("--reject-with", text("reject_with"));
    rule.option(icmp, text("icmp_type"));
    rule.group(Some("comment"), &[("--comment", text("comment"))]);
    rule.words
}

/// The flags of TCP that are looked at, and those that must be set.
pub(super) fn tcp_flags(params: &Params) -> Option<[Vec<String>; 2]> {
    let node = params.any("tcp_flags")?;
    let list = |name| -> Option<Vec<String>> {
        let items = node.get(name)?.as_list()?;
        items.iter().map(|item| item.scalar_text().map(str::to_owned)).collect()
    };
    Some([list("flags")?, list("flags_set")?])
}

#[derive(Default)]
struct Rule {
    words: Vec<String>,
}

impl Rule {
    fn words(&mut self, words: &[&str]) {
        self.words.extend(words.iter().map(|word| (*word).to_owned()));
    }

    /// An option with its value; a `!` before the value is one before the option.
    fn option(&mut self, flag: &str, value: Option<&str>) {
        match value.map(|value| (value.strip_prefix('!'), value)) {
            Some((Some(value), _)) => self.words(&["!", flag, value.trim_start()]),
            Some((None, value)) => self.words(&[flag, value]),
            None => {}
        }
    }

    /// A list with commas between, with the match that it needs.
    fn list(&mut self, needs: &str, flag: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        if !needs.is_empty() {
            self.words(&["-m", needs]);
        }
        self.words(&[flag, &items.join(",")]);
    }

    /// Options of a match, which is named before them where one is given.
    fn group(&mut self, needs: Option<&str>, options: &[(&str, Option<&str>)]) {
        if options.iter().all(|(_, value)| value.is_none()) {
            return;
        }
        if let Some(needs) = needs {
            self.words(&["-m", needs]);
        }
        for (flag, value) in options {
            self.option(flag, *value);
        }
    }
}
