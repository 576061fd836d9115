//! `iptables`: a rule of the kernel's packet filter, a chain or its policy.

mod job;
mod place;
mod rule;

use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use job::Job;

pub(super) static MODULE: Module = Module {
    name: "iptables",
    summary: "Makes sure that the packet filter has a rule, or not, until the next start.",
    acts_unless: None,
    spec: Spec {
        exclusive: &[&["set_dscp_mark", "set_dscp_mark_class"]],
        shared: &[RULE],
        ..Spec::new(PARAMS)
    },
    check,
    build: |params| Box::new(Iptables { params }),
};

const LEVELS: &[&str] = &[
    "0", "1", "2", "3", "4", "5", "6", "7", "alert", "crit", "debug", "emerg", "error", "info",
    "notice", "warning",
];

const PARAMS: &[Param] = &[
    Param::new("table", Kind::OneOf(&["filter", "mangle", "nat", "raw", "security"]))
        .says("The table; `filter` where not given."),
    Param::new("chain", Kind::Text).says("The chain: `INPUT`, or one of one's own."),
    Param::new("state", Kind::OneOf(&["absent", "present"]))
        .says("Whether the rule, or the chain, is there; `present` where not given."),
    Param::new("action", Kind::OneOf(&["append", "insert"]))
        .says("Where a new rule goes: behind all others, where not given, or before them."),
    Param::new("rule_num", Kind::Text)
        .says("With `action: insert`, the number of the rule before which it goes."),
    Param::new("ip_version", Kind::OneOf(&["both", "ipv4", "ipv6"]))
        .says("Which version of IP; `ipv4` where not given."),
    Param::new("wait", Kind::Text).says("How many seconds to wait for others to be done."),
    Param::new("flush", Kind::Bool).says("Take all rules from the chain, or from the table."),
    Param::new("policy", Kind::OneOf(&["ACCEPT", "DROP", "QUEUE", "RETURN"]))
        .says("What becomes of what no rule of the chain is about."),
    Param::new("chain_management", Kind::Bool)
        .says("Without a rule, make the chain, or take it away with `state: absent`."),
    Param::new("numeric", Kind::Bool).says("Accepted: no names are looked up."),
];

/// What makes up a rule.
const RULE: &[Param] = &[
    Param::new("protocol", Kind::Text).says("`tcp`, `udp`, `icmp`, `all`. Here as in others, a `!` before the value means all but that."),
    Param::new("source", Kind::Text).says("Where it comes from: an address or a network."),
    Param::new("destination", Kind::Text).says("Where it goes."),
    Param::new("match", Kind::Any).says("Extensions to be used, such as `conntrack`."),
    Param::new("tcp_flags", Kind::Any).says("`flags` to look at, and `flags_set` of them that must be set."),
    Param::new("jump", Kind::Text).says("What becomes of it: `ACCEPT`, `DROP`, a chain."),
    Param::new("gateway", Kind::Text).says("With `jump: TEE`, who gets a copy."),
    Param::new("log_prefix", Kind::Text).says("What is before it in the log; `jump` is `LOG`."),
    Param::new("log_level", Kind::OneOf(LEVELS)).says("Of which level it is in the log."),
    Param::new("goto", Kind::Text).says("A chain to go on in, without return."),
    Param::new("in_interface", Kind::Text).says("Through which interface it comes."),
    Param::new("out_interface", Kind::Text).says("Through which interface it goes."),
    Param::new("fragment", Kind::Text).says("Second and further fragments."),
    Param::new("set_counters", Kind::Text).says("What the rule has counted already."),
    Param::new("source_port", Kind::Text).says("The port, or a range as in `1:1024`."),
    Param::new("destination_port", Kind::Text).says("The port, or a range."),
    Param::new("destination_ports", Kind::Any).says("Ports and ranges; the protocol must have ports."),
    Param::new("to_ports", Kind::Text).says("With `jump: REDIRECT`, to which port."),
    Param::new("to_destination", Kind::Text).says("With `jump: DNAT`, to where."),
    Param::new("to_source", Kind::Text).says("With `jump: SNAT`, from where."),
    Param::new("syn", Kind::OneOf(&["ignore", "match", "negate"]))
        .says("Whether it opens a connection of TCP; `ignore` where not given."),
    Param::new("set_dscp_mark", Kind::Text).says("With `jump: DSCP`, the mark."),
    Param::new("set_dscp_mark_class", Kind::Text).says("With `jump: DSCP`, the class."),
    Param::new("comment", Kind::Text).says("A comment in the rule."),
    Param::new("ctstate", Kind::Any).says("States of the connection, such as `ESTABLISHED`."),
    Param::new("src_range", Kind::Text).says("From a range of addresses."),
    Param::new("dst_range", Kind::Text).says("To a range of addresses."),
    Param::new("match_set", Kind::Text).says("A set of `ipset`."),
    Param::new("match_set_flags", Kind::OneOf(&["dst", "dst,dst", "dst,src", "src", "src,dst", "src,src"]))
        .says("Which of its addresses is in the set."),
    Param::new("limit", Kind::Text).says("How often at most, as in `10/minute`."),
    Param::new("limit_burst", Kind::Text).says("How many before that counts."),
    Param::new("uid_owner", Kind::Text).says("Which user's program has sent it."),
    Param::new("gid_owner", Kind::Text).says("Which group's program has sent it."),
    Param::new("reject_with", Kind::Text).says("With `jump: REJECT`, the answer."),
    Param::new("icmp_type", Kind::Text).says("The type of a message of ICMP."),
];

const ABSENT: &str = "absent";
const PRESENT: &str = "present";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: &str| complaints.push(Diagnostic::new(why, params.place(name)));
    if params.flag("flush", false) {
        if params.has("policy") {
            complain("policy", "`iptables` takes `flush` or `policy`, not both");
        }
    } else if !params.has("chain") {
        complain("chain", "`iptables` needs `chain`, unless it is to `flush` a table");
    }
    let jump = params.text("jump").filter(|jump| !jump.contains("{{"));
    if jump.is_some_and(|jump| jump.eq_ignore_ascii_case("tee")) && !params.has("gateway") {
        complain("jump", "`jump: TEE` needs `gateway`");
    }
    for name in ["log_prefix", "log_level"] {
        if params.has(name) && jump.is_some_and(|jump| jump != "LOG") {
            complain(name, &format!("`{name}` is for `jump: LOG`"));
        }
    }
    for name in ["set_dscp_mark", "set_dscp_mark_class"] {
        if params.has(name) && !params.has("jump") {
            complain(name, &format!("`{name}` needs `jump: DSCP`"));
        }
    }
    if let Some(node) = params.any("tcp_flags")
        && node.scalar_text().is_none()
        && rule::tcp_flags(params).is_none()
    {
        complain("tcp_flags", "`tcp_flags` takes the lists `flags` and `flags_set`");
    }
    if let Some(number) = params.text("rule_num").filter(|text| !text.contains("{{"))
        && number.parse::<u32>().ok().is_none_or(|number| number == 0)
    {
        complain("rule_num", "`rule_num` is a number from 1 on");
    }
    let changes_chain = params.flag("flush", false) || params.has("policy");
    let has_rule = RULE.iter().any(|param| params.has(param.name));
    if !changes_chain && !has_rule && !params.flag("chain_management", false) {
        complain("chain", "this names no rule; `chain_management: true` is about the chain itself");
    }
    complaints
}

struct Iptables {
    params: Params,
}

impl Task for Iptables {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let text = |name, usual| params.text(name).unwrap_or(usual);
        let versions: &[Version] = match params.text("ip_version") {
            Some("both") => &[FOUR, SIX],
            Some("ipv6") => &[SIX],
            _ => &[FOUR],
        };
        for version in versions {
            let job = Job {
                params,
                program: version.program,
                table: text("table", "filter"),
                chain: params.text("chain"),
                rule: rule::arguments(params, version.icmp),
            };
            job.converge(machine)?;
        }
        let rule = versions.first().map(|version| rule::arguments(params, version.icmp).join(" "));
        Ok(Outcome::default()
            .with("ip_version", text("ip_version", "ipv4"))
            .with("table", text("table", "filter"))
            .with("chain", params.text("chain"))
            .with("flush", params.flag("flush", false))
            .with("rule", rule)
            .with("state", text("state", PRESENT))
            .with("chain_management", params.flag("chain_management", false))
            .with("wait", params.text("wait")))
    }
}

/// A version of IP.
struct Version {
    program: &'static str,
    icmp: &'static str,
}

const FOUR: Version = Version { program: "iptables", icmp: "--icmp-type" };
const SIX: Version = Version { program: "ip6tables", icmp: "--icmpv6-type" };
