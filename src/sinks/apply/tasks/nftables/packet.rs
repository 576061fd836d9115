//! Whether rules would drop the packets of a connection: a reading of what `nft -j list ruleset` says
//! that only knows what such packets certainly have.
//!
//! Source: libnftables-json(5). Where a rule asks for something else, it may or may not hold: a rule that
//! may accept counts as one that does, and one that may drop counts as one that does not, so that only
//! what is certain is told.

use crate::sinks::apply::tasks::session::Connection;
use serde_json::Value;
use std::cell::Cell;
use std::net::IpAddr;

/// The chain that would certainly drop packets of the connection, in either direction.
pub(super) fn dropping_chain(ruleset: &Value, connection: Connection) -> Option<String> {
    let all = ruleset.get("nftables")?.as_array()?;
    let chains = all.iter().filter_map(|one| one.get("chain"));
    for chain in chains {
        let field = |name: &str| chain.get(name).and_then(Value::as_str).unwrap_or_default();
        let is_incoming = match field("hook") {
            "input" | "prerouting" => true,
            "output" | "postrouting" => false,
            _ => continue,
        };
        let fits = match field("family") {
            "ip" => connection.theirs.is_ipv4(),
            "ip6" => connection.theirs.is_ipv6(),
            "inet" => true,
            _ => continue,
        };
        if !fits || field("type") != "filter" {
            continue;
        }
        let reading = Reading { all, chain, connection, is_incoming, steps: Cell::new(0) };
        let is_dropped = match reading.chain(field("name"), 0) {
            Verdict::Dropped => true,
            Verdict::Accepted => false,
            Verdict::Falls => field("policy") == "drop",
        };
        if is_dropped {
            return Some(format!("{} {} {}", field("family"), field("table"), field("name")));
        }
    }
    None
}

/// What becomes of a packet in a chain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Dropped,
    /// It comes out at the end.
    Falls,
}

/// Chains can jump to each other so deep, as in the kernel.
const DEEPEST: usize = 16;
/// More rules are not looked at: chains that jump to each other can make endless work of few.
const MOST_RULES: usize = 100_000;

struct Reading<'r> {
    all: &'r [Value],
    /// The chain that the packet came to first.
    chain: &'r Value,
    connection: Connection,
    is_incoming: bool,
    /// How many rules were looked at.
    steps: Cell<usize>,
}

impl Reading<'_> {
    fn chain(&self, name: &str, depth: usize) -> Verdict {
        if depth > DEEPEST {
            return Verdict::Falls;
        }
        let is_here = |rule: &&Value| {
            let same = |field| rule.get(field) == self.chain.get(field);
            same("family")
                && same("table")
                && rule.get("chain").and_then(Value::as_str) == Some(name)
        };
        for rule in self.all.iter().filter_map(|one| one.get("rule")).filter(is_here) {
            let statements = rule.get("expr").and_then(Value::as_array);
            let verdict = self.rule(statements.map_or(&[][..], Vec::as_slice), depth);
            if let Some(verdict) = verdict {
                return verdict;
            }
        }
        Verdict::Falls
    }

    /// What a rule does with the packet; `None` where the next rule is asked.
    fn rule(&self, statements: &[Value], depth: usize) -> Option<Verdict> {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > MOST_RULES {
            return Some(Verdict::Accepted);
        }
        // Whether all that was asked for so far certainly holds.
        let mut is_certain = true;
        for statement in statements {
            if let Some(asked) = statement.get("match") {
                match self.holds(asked) {
                    Some(true) => {}
                    Some(false) => return None,
                    None => is_certain = false,
                }
            } else if statement.get("limit").is_some() {
                is_certain = false;
            } else if let Some(map) = statement.get("vmap") {
                match self.by_map(map) {
                    Mapped::To(verdict) => return self.verdict(verdict, is_certain, depth),
                    Mapped::Nowhere => return None,
                    Mapped::Unknown => is_certain = false,
                }
            } else if is_verdict(statement) {
                return self.verdict(statement, is_certain, depth);
            }
        }
        None
    }

    fn verdict(&self, verdict: &Value, is_certain: bool, depth: usize) -> Option<Verdict> {
        let word = |name: &str| verdict.get(name).is_some() || verdict.as_str() == Some(name);
        if word("accept") {
            return Some(Verdict::Accepted);
        }
        if word("drop") || word("reject") {
            return is_certain.then_some(Verdict::Dropped);
        }
        if word("return") {
            return is_certain.then_some(Verdict::Falls);
        }
        let target = |name: &str| verdict.get(name)?.get("target")?.as_str();
        if let Some(target) = target("jump") {
            return match self.chain(target, depth + 1) {
                Verdict::Dropped if !is_certain => None,
                Verdict::Falls => None,
                verdict => Some(verdict),
            };
        }
        let reached = self.chain(target("goto")?, depth + 1);
        (is_certain || reached == Verdict::Accepted).then_some(reached)
    }

    /// Whether the packet has what is asked for; `None` where that is not known.
    fn holds(&self, asked: &Value) -> Option<bool> {
        let (left, right) = (asked.get("left")?, asked.get("right")?);
        let is_in = self.has(left, right);
        match asked.get("op").and_then(Value::as_str) {
            Some("==" | "in") => is_in,
            Some("!=") => is_in.map(|is_in| !is_in),
            _ => None,
        }
    }

    fn by_map<'m>(&self, map: &'m Value) -> Mapped<'m> {
        let (Some(key), Some(entries)) =
            (map.get("key"), map.get("data").and_then(|data| data.get("set")?.as_array()))
        else {
            return Mapped::Unknown;
        };
        for entry in entries {
            let (Some(value), Some(verdict)) = (entry.get(0), entry.get(1)) else { continue };
            match self.has(key, value) {
                Some(true) => return Mapped::To(verdict),
                Some(false) => {}
                None => return Mapped::Unknown,
            }
        }
        Mapped::Nowhere
    }

    /// Whether a field of the packet has this value, or one of these.
    fn has(&self, field: &Value, value: &Value) -> Option<bool> {
        let text = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
        let connection = self.connection;
        let (ours, theirs) =
            ((connection.ours, connection.our_port), (connection.theirs, connection.their_port));
        let (from, to) = if self.is_incoming { (theirs, ours) } else { (ours, theirs) };
        if let Some(payload) = field.get("payload") {
            let protocol = text(payload, "protocol")?;
            return match (protocol.as_str(), text(payload, "field")?.as_str()) {
                ("tcp" | "th", "dport") => is_number(value, u64::from(to.1)),
                ("tcp" | "th", "sport") => is_number(value, u64::from(from.1)),
                ("ip", "saddr") if from.0.is_ipv4() => is_address(value, from.0),
                ("ip", "daddr") if from.0.is_ipv4() => is_address(value, to.0),
                ("ip6", "saddr") if from.0.is_ipv6() => is_address(value, from.0),
                ("ip6", "daddr") if from.0.is_ipv6() => is_address(value, to.0),
                ("ip", "protocol") if from.0.is_ipv4() => is_word(value, "tcp"),
                ("ip6", "nexthdr") if from.0.is_ipv6() => is_word(value, "tcp"),
                // A field that the packet has not: no rule about it holds.
                ("udp" | "icmp" | "icmpv6" | "sctp" | "dccp" | "esp" | "ah", _) => Some(false),
                ("ip", _) if from.0.is_ipv6() => Some(false),
                ("ip6", _) if from.0.is_ipv4() => Some(false),
                _ => None,
            };
        }
        if let Some(meta) = field.get("meta") {
            return match text(meta, "key")?.as_str() {
                "l4proto" => is_word(value, "tcp"),
                "nfproto" => is_word(value, if from.0.is_ipv4() { "ipv4" } else { "ipv6" }),
                "iif" | "iifname" | "oif" | "oifname"
                    if value.as_str() == Some("lo") && !connection.theirs.is_loopback() =>
                {
                    Some(false)
                }
                _ => None,
            };
        }
        match field.get("ct").and_then(|ct| text(ct, "key")).as_deref() {
            Some("state") => is_word(value, "established"),
            Some("direction") => is_word(value, "original"),
            _ => None,
        }
    }
}

/// Where a map of verdicts leads.
enum Mapped<'m> {
    To(&'m Value),
    Nowhere,
    Unknown,
}

fn is_verdict(statement: &Value) -> bool {
    ["accept", "drop", "reject", "return", "jump", "goto"]
        .iter()
        .any(|name| statement.get(name).is_some() || statement.as_str() == Some(name))
}

/// Whether one of the values is this one, by `one`.
fn is_any(value: &Value, one: &dyn Fn(&Value) -> Option<bool>) -> Option<bool> {
    let items = value.as_array().or_else(|| value.get("set")?.as_array());
    let Some(items) = items else { return one(value) };
    let mut is_known = true;
    for item in items {
        match is_any(item, one) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => is_known = false,
        }
    }
    is_known.then_some(false)
}

fn is_word(value: &Value, word: &str) -> Option<bool> {
    is_any(value, &|value| Some(value.as_str()? == word))
}

fn is_number(value: &Value, number: u64) -> Option<bool> {
    is_any(value, &|value| match value.get("range").and_then(Value::as_array) {
        Some(range) => {
            let end = |at: usize| range.get(at)?.as_u64();
            Some((end(0)?..=end(1)?).contains(&number))
        }
        None => Some(value.as_u64()? == number),
    })
}

fn is_address(value: &Value, address: IpAddr) -> Option<bool> {
    is_any(value, &|value| {
        let parse = |value: &Value| value.as_str()?.parse::<IpAddr>().ok();
        if let Some(range) = value.get("range").and_then(Value::as_array) {
            return Some((parse(range.first()?)?..=parse(range.get(1)?)?).contains(&address));
        }
        let Some(prefix) = value.get("prefix") else { return Some(parse(value)? == address) };
        let length = u32::try_from(prefix.get("len")?.as_u64()?).ok()?;
        match (parse(prefix.get("addr")?)?, address) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let shift = 32_u32.checked_sub(length)?;
                let cut = |bits: u32| bits.checked_shr(shift).unwrap_or(0);
                Some(cut(net.to_bits()) == cut(address.to_bits()))
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let shift = 128_u32.checked_sub(length)?;
                let cut = |bits: u128| bits.checked_shr(shift).unwrap_or(0);
                Some(cut(net.to_bits()) == cut(address.to_bits()))
            }
            _ => Some(false),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A ruleset with one chain of the hook `input` and this policy, and one beside it.
    fn cuts(policy: &str, rules: &[Value], beside: &[Value]) -> bool {
        let of = |chain: &'static str| move |expr: &Value| json!({"rule": {"family": "inet", "table": "f", "chain": chain, "expr": expr}});
        let base = json!({"chain": {"family": "inet", "table": "f", "name": "in", "type": "filter",
            "hook": "input", "prio": 0, "policy": policy}});
        let mut all =
            vec![base, json!({"chain": {"family": "inet", "table": "f", "name": "more"}})];
        all.extend(rules.iter().map(of("in")));
        all.extend(beside.iter().map(of("more")));
        let connection = Connection::parse("10.0.0.9 5000 10.0.0.1 22").unwrap();
        dropping_chain(&json!({"nftables": all}), connection).is_some()
    }

    fn port(right: &Value) -> Value {
        json!({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": right}})
    }

    #[test]
    fn a_policy_cuts_what_no_rule_accepts() {
        assert!(!cuts("accept", &[], &[]));
        assert!(cuts("drop", &[], &[]));
        assert!(cuts("drop", &[json!([port(&json!({"set": [80, 443]})), {"accept": null}])], &[]));
        assert!(!cuts(
            "drop",
            &[json!([port(&json!({"set": [80, {"range": [20, 30]}]})), {"accept": null}])],
            &[]
        ));
        let state = |op: &str, right: Value| json!({"match": {"op": op, "left": {"ct": {"key": "state"}}, "right": right}});
        let established = json!([state("in", json!(["established", "related"])), {"accept": null}]);
        assert!(!cuts("drop", &[established], &[]));
        assert!(cuts("drop", &[json!([state("==", json!("new")), {"accept": null}])], &[]));
        let map = json!([{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [
            ["invalid", {"drop": null}], ["established", {"accept": null}]]}}}]);
        assert!(!cuts("drop", &[map], &[]));
        let lo = json!([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}, {"accept": null}]);
        assert!(cuts("drop", &[lo], &[]));
        let from = |right: Value| json!([{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": right}}, {"accept": null}]);
        assert!(!cuts("drop", &[from(json!({"prefix": {"addr": "10.0.0.0", "len": 24}}))], &[]));
        assert!(cuts("drop", &[from(json!({"prefix": {"addr": "10.1.0.0", "len": 16}}))], &[]));
    }

    #[test]
    fn a_rule_that_drops_comes_before_one_that_accepts() {
        let drops =
            json!([port(&json!(22)), {"counter": {"packets": 0, "bytes": 0}}, {"drop": null}]);
        let accepts = json!([{"accept": null}]);
        assert!(cuts("accept", &[drops.clone(), accepts.clone()], &[]));
        assert!(!cuts("accept", &[accepts.clone(), drops.clone()], &[]));
        let jumps = json!([{"jump": {"target": "more"}}]);
        assert!(cuts("accept", std::slice::from_ref(&jumps), &[drops]));
        assert!(!cuts("drop", std::slice::from_ref(&jumps), &[accepts]));
        assert!(cuts("drop", &[jumps], &[]));
    }

    #[test]
    fn what_may_or_may_not_hold_is_not_said_to_cut() {
        let some = json!({"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}});
        assert!(!cuts("accept", &[json!([some, {"drop": null}])], &[]));
        assert!(!cuts("drop", &[json!([some, {"accept": null}])], &[]));
        let set = json!([{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@admins"}}, {"accept": null}]);
        assert!(!cuts("drop", &[set], &[]));
        assert!(!cuts("accept", &[json!([{"limit": {"rate": 4}}, {"drop": null}])], &[]));
    }
}
