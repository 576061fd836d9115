//! `interface`: a network interface of the running host, its addresses and routes.

use super::{Failure, Module, Outcome, Task, TaskContext, session, system};
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::state::Transition;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use serde_json::Value;
use std::net::IpAddr;

pub(super) static MODULE: Module = Module {
    name: "interface",
    summary: "Makes sure that a network interface has addresses and routes, until the next start.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text).required().says("The interface, such as `eth0`."),
        Param::new("state", Kind::OneOf(&["absent", "down", "up"]))
            .says("`up`, where not given, `down`, or not there at all."),
        Param::new("type", Kind::OneOf(&["bridge", "dummy", "vlan"]))
            .says("What it is, where it is one that is made. Others must be there."),
        Param::new("parent", Kind::Text).says("The interface that a `vlan` is on."),
        Param::new("vlan", Kind::Int).says("The number of a `vlan`, 1 to 4094."),
        Param::new("master", Kind::Text).says("The bridge that it is a port of."),
        Param::new("mtu", Kind::Int).says("How many bytes go into a packet."),
        Param::new("addresses", Kind::Texts)
            .says("Its addresses with the length of their networks: `10.0.0.5/24`."),
        Param::new("exclusive", Kind::Bool)
            .says("Other addresses go; those that IPv6 makes itself (`fe80::`) stay."),
        Param::new("routes", Kind::Any).says(
            "Routes over it: a list of `to` (a network, or `default`), `via` (an address) and `metric`.",
        ),
        Param::new("force", Kind::Bool)
            .says("Take away the address too over which the session runs that this runs in."),
    ]),
    check,
    build: |params| Box::new(Interface { params }),
};

const ABSENT: &str = "absent";
const PRESENT: &str = "present";

/// The kernel takes no longer name.
const MOST_BYTES: usize = 15;

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    let is_name = |name: &str| {
        (1..=MOST_BYTES).contains(&name.len())
            && !name.starts_with('-')
            && !name.contains(['/', ':', ' ', '\t', '\n'])
            && ![".", ".."].contains(&name)
    };
    for name in ["name", "parent", "master"] {
        if let Some(text) = params.text(name).filter(|text| !text.contains("{{") && !is_name(text))
        {
            complain(
                name,
                format!("`{text}` is no name of an interface, which has up to 15 bytes"),
            );
        }
    }
    for text in params.texts("addresses").unwrap_or_default() {
        if !text.contains("{{") && network(text).is_none_or(|(_, length)| length.is_none()) {
            let why = format!("`{text}` is no address with the length of its network: 10.0.0.5/24");
            complain("addresses", why);
        }
    }
    match params.any("routes").map(|node| (node, routes(node))) {
        Some((node, Err(why))) if node.scalar_text().is_none_or(|it| !it.contains("{{")) => {
            complain("routes", why);
        }
        _ => {}
    }
    if params.int("vlan").is_some_and(|number| !(1..=4094).contains(&number)) {
        complain("vlan", "`vlan` is from 1 to 4094".into());
    }
    if params.int("mtu").is_some_and(|bytes| !(68..=65_536).contains(&bytes)) {
        complain("mtu", "`mtu` is from 68 to 65536".into());
    }
    if params.text("type") == Some("vlan") {
        for name in ["parent", "vlan"].into_iter().filter(|name| !params.has(name)) {
            complain("type", format!("`type: vlan` needs `{name}`"));
        }
    }
    complaints
}

/// An address, and the length of its network where that is said.
fn network(text: &str) -> Option<(IpAddr, Option<u8>)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|length| length <= most).then_some((address, length))
}

/// A route over the interface.
#[derive(Clone, PartialEq, Eq)]
struct Route {
    /// A network as the kernel tells it, or `default`.
    to: String,
    via: Option<IpAddr>,
    metric: Option<u32>,
    is_six: bool,
}

impl Route {
    fn words(&self) -> Vec<String> {
        let mut words = vec![self.to.clone()];
        words.extend(self.via.iter().flat_map(|via| ["via".to_owned(), via.to_string()]));
        words.extend(self.metric.iter().flat_map(|it| ["metric".to_owned(), it.to_string()]));
        words
    }
}

fn routes(node: &Node) -> Result<Vec<Route>, String> {
    let Some(items) = node.as_list() else {
        return Err(format!("`routes` takes a list, and this is {}", node.kind()));
    };
    items.iter().map(route).collect()
}

fn route(item: &Node) -> Result<Route, String> {
    for (key, _) in item.as_map().unwrap_or_default() {
        if !["metric", "to", "via"].contains(&&*key.name) {
            return Err(format!("a route has no `{}`: it has `to`, `via`, `metric`", key.name));
        }
    }
    let text = |name| item.get(name).and_then(Node::scalar_text);
    let to = text("to").ok_or("a route needs `to`")?;
    let via = text("via").map(|via| {
        via.parse::<IpAddr>().map_err(|_| format!("`{via}` is no address for a route to go by"))
    });
    let via = via.transpose()?;
    let metric =
        text("metric").map(|it| it.parse::<u32>().map_err(|_| format!("`{it}` is no metric")));
    let metric = metric.transpose()?;
    if to == "default" {
        let is_six = via.is_some_and(|via| via.is_ipv6());
        return Ok(Route { to: to.to_owned(), via, metric, is_six });
    }
    let (address, length) =
        network(to).ok_or_else(|| format!("`{to}` is neither a network nor `default`"))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let to = match length.filter(|length| *length < most) {
        Some(length) => format!("{address}/{length}"),
        None => address.to_string(),
    };
    Ok(Route { to, via, metric, is_six: address.is_ipv6() })
}

struct Interface {
    params: Params,
}

impl Task for Interface {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let name = params.text("name").unwrap_or_default();
        let state = params.text("state").unwrap_or("up");
        let job = Job { params, name };
        let outcome = Outcome::default().with("name", name).with("state", state);
        let now = job.now(machine)?;
        if state == ABSENT {
            if now.is_some() {
                let argv = system::argv(&["ip", "link", "delete", "dev", name]);
                job.step(machine, "", [PRESENT, ABSENT], argv, None)?;
            }
            return Ok(outcome);
        }
        let now = match now {
            Some(now) => now,
            None => job.make(machine)?,
        };
        job.set_link(machine, &now, state)?;
        job.set_addresses(machine, &now)?;
        job.set_routes(machine)?;
        Ok(outcome)
    }
}

struct Job<'a> {
    params: &'a Params,
    name: &'a str,
}

impl Job<'_> {
    /// What is told of the interface, or of a part of it.
    fn of(&self, what: &str) -> String {
        match what {
            "" => format!("interface {}", self.name),
            what => format!("interface {}: {what}", self.name),
        }
    }

    fn step(
        &self,
        machine: &mut Machine,
        what: &str,
        [before, after]: [&str; 2],
        argv: Vec<String>,
        back: Option<Vec<String>>,
    ) -> Result<(), Failure> {
        let [before, after] = [before, after].map(str::to_owned);
        Ok(machine.transition(&Transition { of: self.of(what), before, after, argv, back })?)
    }

    /// What `ip` tells of the interface; `None` where there is none.
    fn now(&self, machine: &Machine) -> Result<Option<Value>, Failure> {
        match machine.foretold_state(&self.of("")).as_deref() {
            Some(ABSENT) => return Ok(None),
            Some(_) => return Ok(Some(Value::Null)),
            None => {}
        }
        let told = ask(machine, &["ip", "-j", "address", "show", "dev", self.name])?;
        Ok(told.and_then(|told| told.into_iter().next()))
    }

    fn make(&self, machine: &mut Machine) -> Result<Value, Failure> {
        let Some(kind) = self.params.text("type") else {
            let failure = Failure::new(format!("there is no interface `{}`", self.name));
            let hint = "`type` says what is to be made".to_owned();
            return Err(Failure { hint: Some(hint), ..failure });
        };
        let mut argv = system::argv(&["ip", "link", "add"]);
        if let Some(parent) = self.params.text("parent") {
            argv.extend(system::argv(&["link", parent]));
        }
        argv.extend(system::argv(&["name", self.name, "type", kind]));
        if let Some(number) = self.params.int("vlan") {
            argv.extend(system::argv(&["id", &number.to_string()]));
        }
        let back = Some(system::argv(&["ip", "link", "delete", "dev", self.name]));
        self.step(machine, "", [ABSENT, PRESENT], argv, back)?;
        // A new one is down, and has nothing.
        Ok(Value::Null)
    }

    /// A part of the interface as a dry run has foretold it, or as it is.
    fn part(&self, machine: &Machine, what: &str, now: impl Into<String>) -> String {
        machine.foretold_state(&self.of(what)).unwrap_or_else(|| now.into())
    }

    /// Sets size, bridge and state of the link.
    fn set_link(&self, machine: &mut Machine, now: &Value, state: &str) -> Result<(), Failure> {
        let set = |words: &[&str]| {
            system::argv(&[&["ip", "link", "set", "dev", self.name], words].concat())
        };
        if let Some(mtu) = self.params.int("mtu").map(|mtu| mtu.to_string()) {
            let was = now.get("mtu").and_then(Value::as_u64).unwrap_or(1500).to_string();
            let was = self.part(machine, "mtu", was);
            if was != mtu {
                let back = Some(set(&["mtu", &was]));
                self.step(machine, "mtu", [&was, &mtu], set(&["mtu", &mtu]), back)?;
            }
        }
        if let Some(master) = self.params.text("master") {
            let was = now.get("master").and_then(Value::as_str).unwrap_or("none");
            let was = self.part(machine, "master", was);
            if was != master {
                let back = match was.as_str() {
                    "none" => set(&["nomaster"]),
                    was => set(&["master", was]),
                };
                let argv = set(&["master", master]);
                self.step(machine, "master", [&was, master], argv, Some(back))?;
            }
        }
        let flags = now.get("flags").and_then(Value::as_array);
        let is_up = flags.is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
        let was = self.part(machine, "link", if is_up { "up" } else { "down" });
        if was != state {
            if state == "down" {
                self.must_not_cut(machine, now, |_| true)?;
            }
            self.step(machine, "link", [&was, state], set(&[state]), Some(set(&[&was])))?;
        }
        Ok(())
    }

    fn set_addresses(&self, machine: &mut Machine, now: &Value) -> Result<(), Failure> {
        let wanted = self.params.texts("addresses").unwrap_or_default();
        let wanted: Vec<String> = wanted.iter().filter_map(|text| spelled(text)).collect();
        let there: Vec<String> =
            addresses(now).filter(|(_, is_local)| !is_local).map(|(address, _)| address).collect();
        let command = |verb: &str, address: &str| {
            system::argv(&["ip", "address", verb, address, "dev", self.name])
        };
        // Those that go go first: an address of the same network would go with them.
        let mut gone = Vec::new();
        if self.params.flag("exclusive", false) {
            for address in there.iter().filter(|address| !wanted.contains(address)) {
                let what = format!("address {address}");
                if self.part(machine, &what, PRESENT) == PRESENT {
                    self.must_not_cut(machine, now, |other| other == address)?;
                    let back = Some(command("add", address));
                    let argv = command("delete", address);
                    self.step(machine, &what, [PRESENT, ABSENT], argv, back)?;
                    gone.push(address);
                }
            }
        }
        for address in &wanted {
            let what = format!("address {address}");
            let is_there =
                there.contains(address) && !gone.iter().any(|gone| is_beside(gone, address));
            if self.part(machine, &what, if is_there { PRESENT } else { ABSENT }) == ABSENT {
                let back = Some(command("delete", address));
                self.step(machine, &what, [ABSENT, PRESENT], command("replace", address), back)?;
            }
        }
        Ok(())
    }

    /// Refuses to take away the address of the session that this runs in; `goes` says of an address
    /// whether it is taken away.
    fn must_not_cut(
        &self,
        machine: &Machine,
        now: &Value,
        goes: impl Fn(&str) -> bool,
    ) -> Result<(), Failure> {
        let Some(session) = session::of(machine) else { return Ok(()) };
        let is_its = |address: &str| network(address).is_some_and(|(it, _)| it == session.ours);
        let is_cut = addresses(now).any(|(address, _)| is_its(&address) && goes(&address));
        if !is_cut || self.params.flag("force", false) {
            return Ok(());
        }
        let (ours, theirs) = (session.ours, session.theirs);
        let why = format!("that would cut the session from {theirs} to {ours} that this runs in");
        let hint = "`force: true` does it nevertheless".to_owned();
        Err(Failure { hint: Some(hint), ..Failure::new(why) })
    }

    fn set_routes(&self, machine: &mut Machine) -> Result<(), Failure> {
        let Some(node) = self.params.any("routes") else { return Ok(()) };
        for wanted in routes(node).map_err(Failure::new)? {
            let what = format!("route {}", wanted.words().join(" "));
            let family = if wanted.is_six { "-6" } else { "-4" };
            let is_there = match machine.foretold_state(&self.of(&what)) {
                Some(foretold) => foretold == PRESENT,
                None => {
                    let ask_for = ["ip", "-j", family, "route", "show", "dev", self.name];
                    let told = ask(machine, &ask_for)?.unwrap_or_default();
                    told.iter().any(|told| is_route(told, &wanted))
                }
            };
            if is_there {
                continue;
            }
            let command = |verb: &str| {
                let mut argv = system::argv(&["ip", family, "route", verb]);
                argv.extend(wanted.words());
                argv.extend(system::argv(&["dev", self.name]));
                argv
            };
            let back = Some(command("delete"));
            self.step(machine, &what, [ABSENT, PRESENT], command("add"), back)?;
        }
        Ok(())
    }
}

/// What `ip -j` answers; `None` where there is no such interface.
fn ask(machine: &Machine, argv: &[&str]) -> Result<Option<Vec<Value>>, Failure> {
    let output = machine.query(&Command { argv: system::argv(argv), ..Command::default() })?;
    if !output.is_success() {
        return Ok(None);
    }
    // Nothing at all is what it says of nothing.
    if output.stdout.trim_ascii().is_empty() {
        return Ok(Some(Vec::new()));
    }
    let told = serde_json::from_slice(&output.stdout);
    told.map(Some)
        .map_err(|error| Failure::new(format!("`ip -j` says what is not understood: {error}")))
}

/// The addresses of an interface with the lengths of their networks, and whether IPv6 has made them.
fn addresses(now: &Value) -> impl Iterator<Item = (String, bool)> {
    let all = now.get("addr_info").and_then(Value::as_array);
    all.into_iter().flatten().filter_map(|one| {
        let address = one.get("local")?.as_str()?;
        let length = one.get("prefixlen")?.as_u64()?;
        let is_local = one.get("scope").and_then(Value::as_str) == Some("link");
        Some((spelled(&format!("{address}/{length}"))?, is_local && address.starts_with("fe80:")))
    })
}

/// An address as the kernel spells it.
fn spelled(text: &str) -> Option<String> {
    let (address, length) = network(text)?;
    Some(format!("{address}/{}", length?))
}

/// Whether both are addresses of one network of IPv4, where the first of them takes the others with it.
fn is_beside(one: &str, other: &str) -> bool {
    let cut = |text: &str| match network(text)? {
        (IpAddr::V4(address), Some(length)) => {
            let shift = 32_u32.checked_sub(u32::from(length))?;
            Some((address.to_bits().checked_shr(shift).unwrap_or(0), length))
        }
        _ => None,
    };
    cut(one).is_some_and(|one| cut(other) == Some(one))
}

fn is_route(told: &Value, wanted: &Route) -> bool {
    let to = told.get("dst").and_then(Value::as_str).unwrap_or_default();
    let via = told.get("gateway").and_then(Value::as_str).and_then(|via| via.parse().ok());
    let metric = told.get("metric").and_then(Value::as_u64);
    let has_metric = wanted.metric.is_none_or(|wanted| metric == Some(u64::from(wanted)));
    to == wanted.to && via == wanted.via && has_metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_spelled_as_the_kernel_does() {
        assert_eq!(spelled("2001:DB8:0::1/64").as_deref(), Some("2001:db8::1/64"));
        assert!(
            is_beside("10.0.0.1/24", "10.0.0.9/24") && !is_beside("10.0.0.1/24", "10.0.1.9/24")
        );
        assert!(!is_beside("10.0.0.1/24", "10.0.0.9/25") && !is_beside("fe80::1/64", "fe80::2/64"));
        assert_eq!(network("10.0.0.1/33"), None);
        assert_eq!(network("10.0.0.1").map(|it| it.1), Some(None));
        let told = serde_json::json!({"dst": "10.1.0.5", "gateway": "10.0.0.1", "metric": 5});
        let wanted = |metric| Route {
            to: "10.1.0.5".into(),
            via: "10.0.0.1".parse().ok(),
            metric,
            is_six: false,
        };
        assert!(is_route(&told, &wanted(None)) && is_route(&told, &wanted(Some(5))));
        assert!(!is_route(&told, &wanted(Some(6))));
    }
}
