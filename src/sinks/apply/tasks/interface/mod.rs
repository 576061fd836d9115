//! `interface`: a network interface of the running host, its addresses and routes.

mod wanted;

use super::{Failure, Module, Outcome, Task, TaskContext, session};
use crate::host::machine::Machine;
use crate::host::machine::change::Effect;
use crate::host::machine::state::{Means, Step};
use crate::host::network::{Act, Address, Interface as Link, Route, Whole};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::net::IpAddr;
use std::path::Path;

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
    check: wanted::check,
    build: |params| Box::new(Interface { params }),
};

const ABSENT: &str = "absent";
const PRESENT: &str = "present";

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
            if let Some(now) = now {
                job.must_not_cut(machine, &now, |_| true)?;
                let back = job.whole(machine)?.map(|whole| Act::Again(Box::new(whole)));
                job.step(machine, "", [PRESENT, ABSENT], Act::Remove, back)?;
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

/// An interface as the kernel has it.
#[derive(Default)]
struct Now {
    is_up: bool,
    mtu: Option<u32>,
    master: Option<String>,
    addresses: Vec<Address>,
}

struct Job<'a> {
    params: &'a Params,
    name: &'a str,
}

impl Job<'_> {
    /// What is told of the interface, or of a part of it.
    fn of(&self, what: &str) -> String {
        match what {
            "" => of(self.name),
            what => format!("{}: {what}", of(self.name)),
        }
    }

    fn step(
        &self,
        machine: &mut Machine,
        what: &str,
        [before, after]: [&str; 2],
        act: Act,
        back: Option<Act>,
    ) -> Result<(), Failure> {
        let by = |act| Means::Network { interface: self.name.to_owned(), act };
        let [before, after] = [before, after].map(str::to_owned);
        let (by, back) = (by(act), back.map(by));
        Ok(machine.take(&Step { of: self.of(what), before, after, by, back })?)
    }

    /// The interface; `None` where there is none. Of one that a dry run has made nothing is told yet.
    fn now(&self, machine: &Machine) -> Result<Option<Now>, Failure> {
        match machine.foretold_state(&self.of("")).as_deref() {
            Some(ABSENT) => return Ok(None),
            Some(_) => return Ok(Some(Now::default())),
            None => {}
        }
        let all = machine.interfaces()?;
        let Some(link) = all.iter().find(|it| it.is_called(self.name)) else { return Ok(None) };
        let master = all.iter().find(|it| Some(it.index) == link.master);
        let mut addresses = machine.addresses()?;
        addresses.retain(|it| it.interface == link.index);
        Ok(Some(Now {
            is_up: link.is_up,
            mtu: Some(link.mtu),
            master: master.map(|it| it.name.clone()),
            addresses,
        }))
    }

    /// The interface as it could be made again. Of one that a dry run has made only the kind counts.
    fn whole(&self, machine: &Machine) -> Result<Option<Whole>, Failure> {
        let of = self.of("");
        let made = machine.journal().iter().rev().find_map(|change| match &change.effect {
            Effect::State(step) if step.of == of => match &step.by {
                Means::Network { act: Act::Make(kind), .. } => Some(kind.clone()),
                _ => None,
            },
            _ => None,
        });
        if let (Some(kind), Some(_)) = (made, machine.foretold_state(&of)) {
            return Ok(Some(Whole::new(kind)));
        }
        match machine.interfaces()?.iter().find(|it| it.is_called(self.name)) {
            Some(link) => Ok(machine.whole_interface(link.index)?),
            None => Ok(None),
        }
    }

    fn make(&self, machine: &mut Machine) -> Result<Now, Failure> {
        let Some(kind) = wanted::kind(self.params) else {
            let failure = absence(machine, self.name);
            let hint = "`type` says what is to be made".to_owned();
            return Err(Failure { hint: Some(hint), ..failure });
        };
        if let Some(parent) = self.params.text("parent") {
            must_be_there(machine, parent)?;
        }
        self.step(machine, "", [ABSENT, PRESENT], Act::Make(kind), Some(Act::Remove))?;
        // A new one is down, and has nothing.
        Ok(Now::default())
    }

    /// A part of the interface as a dry run has foretold it, or as it is.
    fn part(&self, machine: &Machine, what: &str, now: impl Into<String>) -> String {
        machine.foretold_state(&self.of(what)).unwrap_or_else(|| now.into())
    }

    /// Sets size, bridge and state of the link.
    fn set_link(&self, machine: &mut Machine, now: &Now, state: &str) -> Result<(), Failure> {
        /// What a new one has.
        const USUAL_MTU: u32 = 1500;
        if let Some(mtu) = self.params.int("mtu").and_then(|mtu| u32::try_from(mtu).ok()) {
            let was = self.part(machine, "mtu", now.mtu.unwrap_or(USUAL_MTU).to_string());
            if was != mtu.to_string() {
                let back = was.parse().ok().map(Act::Mtu);
                self.step(machine, "mtu", [&was, &mtu.to_string()], Act::Mtu(mtu), back)?;
            }
        }
        if let Some(master) = self.params.text("master") {
            const NONE: &str = "none";
            let was = self.part(machine, "master", now.master.as_deref().unwrap_or(NONE));
            if was != master {
                must_be_there(machine, master)?;
                let back = Act::Master((was != NONE).then(|| was.clone()));
                let act = Act::Master(Some(master.to_owned()));
                self.step(machine, "master", [&was, master], act, Some(back))?;
            }
        }
        let was = self.part(machine, "link", if now.is_up { "up" } else { "down" });
        if was != state {
            if state == "down" {
                self.must_not_cut(machine, now, |_| true)?;
            }
            let switch = |state: &str| Act::Switch { on: state == "up" };
            self.step(machine, "link", [&was, state], switch(state), Some(switch(&was)))?;
        }
        Ok(())
    }

    fn set_addresses(&self, machine: &mut Machine, now: &Now) -> Result<(), Failure> {
        let wanted = self.params.texts("addresses").unwrap_or_default();
        let wanted: Vec<Network> = wanted
            .iter()
            .filter_map(|text| wanted::network(text))
            .filter_map(|(address, length)| Some((address, length?)))
            .collect();
        let there: Vec<Network> =
            now.addresses.iter().filter(|it| !is_made_by_ipv6(it)).map(network).collect();
        // Those that go go first, and the last of them first: the first of a network is the one that
        // others depend on.
        let mut gone = Vec::new();
        if self.params.flag("exclusive", false) {
            let stays = |one: &Network| wanted.contains(one);
            let is_alone = self.promotes(machine);
            for (at, one) in there.iter().enumerate().rev() {
                let mut before = there.iter().take(at);
                let goes_along =
                    !is_alone && before.any(|first| !stays(first) && is_beside(*first, *one));
                let what = told(*one);
                if stays(one) && !goes_along || self.part(machine, &what, PRESENT) == ABSENT {
                    continue;
                }
                if !stays(one) {
                    self.must_not_cut(machine, now, |other| other == one.0)?;
                }
                let (act, back) = (Act::Drop(one.0, one.1), Act::Add(one.0, one.1));
                self.step(machine, &what, [PRESENT, ABSENT], act, Some(back))?;
                gone.push(*one);
            }
        }
        for one in &wanted {
            let what = told(*one);
            let is_there = there.contains(one) && !gone.contains(one);
            if self.part(machine, &what, if is_there { PRESENT } else { ABSENT }) == ABSENT {
                let (act, back) = (Act::Add(one.0, one.1), Act::Drop(one.0, one.1));
                self.step(machine, &what, [ABSENT, PRESENT], act, Some(back))?;
            }
        }
        Ok(())
    }

    /// Whether the kernel keeps the other addresses of a network of IPv4 when the first one goes.
    fn promotes(&self, machine: &Machine) -> bool {
        ["all", self.name].iter().any(|name| {
            let path = format!("/proc/sys/net/ipv4/conf/{name}/promote_secondaries");
            machine.read(Path::new(&path)).is_ok_and(|value| value.trim_ascii() == b"1")
        })
    }

    /// Refuses to take away the address of the session that this runs in; `goes` says of an address
    /// whether it is taken away.
    fn must_not_cut(
        &self,
        machine: &Machine,
        now: &Now,
        goes: impl Fn(IpAddr) -> bool,
    ) -> Result<(), Failure> {
        let Some(session) = session::of(machine) else { return Ok(()) };
        let mut all = now.addresses.iter().map(|it| it.address);
        let is_cut = all.any(|address| address == session.ours && goes(address));
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
        let is_foretold = machine.foretold_state(&self.of("")).is_some();
        let there = match machine.interfaces()?.iter().find(|it| it.is_called(self.name)) {
            Some(Link { index, .. }) if !is_foretold => machine.routes(*index)?,
            _ => Vec::new(),
        };
        for wanted in wanted::routes(node).map_err(Failure::new)? {
            let what = format!("route {}", wanted::words(&wanted));
            let is_there = there.iter().any(|it| is_route(it, &wanted));
            if self.part(machine, &what, if is_there { PRESENT } else { ABSENT }) == ABSENT {
                let (act, back) = (Act::Route(wanted), Act::Unroute(wanted));
                self.step(machine, &what, [ABSENT, PRESENT], act, Some(back))?;
            }
        }
        Ok(())
    }
}

fn of(name: &str) -> String {
    format!("interface {name}")
}

fn absence(machine: &Machine, name: &str) -> Failure {
    machine.absence(format!("there is no interface `{name}`")).into()
}

/// Complains where another interface is not there that is needed.
fn must_be_there(machine: &Machine, name: &str) -> Result<(), Failure> {
    let is_there = match machine.foretold_state(&of(name)) {
        Some(foretold) => foretold == PRESENT,
        None => machine.interfaces()?.iter().any(|it| it.is_called(name)),
    };
    if is_there { Ok(()) } else { Err(absence(machine, name)) }
}

/// An address and the length of its network.
type Network = (IpAddr, u8);

fn network(address: &Address) -> Network {
    (address.address, address.length)
}

fn told((address, length): Network) -> String {
    format!("address {address}/{length}")
}

fn is_made_by_ipv6(address: &Address) -> bool {
    let is_its = matches!(address.address, IpAddr::V6(it) if it.is_unicast_link_local());
    address.is_of_link && is_its
}

/// Whether both are addresses of one network of IPv4, where the first of them takes the others with it.
fn is_beside(one: Network, other: Network) -> bool {
    let network = |(address, length): Network| (wanted::start(address, length), length);
    one.0.is_ipv4() && network(one) == network(other)
}

fn is_route(there: &Route, wanted: &Route) -> bool {
    let metric = wanted.metric.or(there.metric);
    *there == Route { metric, ..*wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_compared_by_the_bits_that_count() {
        let network = |text| wanted::network(text).and_then(|(it, length)| Some((it, length?)));
        let is_beside =
            |one, other| super::is_beside(network(one).unwrap(), network(other).unwrap());
        assert_eq!(told(network("2001:DB8:0::1/64").unwrap()), "address 2001:db8::1/64");
        assert!(is_beside("10.0.0.1/24", "10.0.0.9/24") && is_beside("10.0.0.1/0", "11.0.0.9/0"));
        assert!(!is_beside("10.0.0.1/24", "10.0.1.9/24"));
        assert!(!is_beside("10.0.0.1/24", "10.0.0.9/25") && !is_beside("fe80::1/64", "fe80::2/64"));
        assert_eq!(wanted::network("10.0.0.1/33"), None);
        assert_eq!(wanted::network("10.0.0.1").map(|it| it.1), Some(None));
    }

    #[test]
    fn a_route_is_there_whatever_its_metric_where_none_is_wanted() {
        let route = |metric| Route {
            to: "10.1.0.5".parse().unwrap(),
            length: 32,
            via: "10.0.0.1".parse().ok(),
            metric,
        };
        assert!(is_route(&route(Some(5)), &route(None)));
        assert!(is_route(&route(Some(5)), &route(Some(5))));
        assert!(!is_route(&route(Some(5)), &route(Some(6))));
        assert_eq!(wanted::words(&route(Some(5))), "10.1.0.5 via 10.0.0.1 metric 5");
    }
}
