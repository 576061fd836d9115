//! All that makes up an interface, so that one that was removed can be made again.

use super::{
    Act, Address, GET_LINK, Interface, Kind, LINK_BYTES, Route, addresses, attributes, interface,
    made, routes, text, u32_at, with,
};
use crate::host::netlink::{CREATE, EXCLUSIVE, Netlink, Subject, u16_at};
use nix::errno::Errno;
use std::io;
use std::net::IpAddr;

/// An interface of which all that counts is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// What it is.
    pub kind: Kind,
    /// Its address on the link; `None` where what it is made of gives it one.
    pub hardware: Option<Vec<u8>>,
    /// Whether it is switched on.
    pub is_up: bool,
    /// The greatest packet, in bytes; `None` for what a new one has.
    pub mtu: Option<u32>,
    /// The interface that it is a port of.
    pub master: Option<String>,
    /// The interfaces that are its ports.
    pub ports: Vec<String>,
    /// Its addresses with the lengths of their networks.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The routes over it.
    pub routes: Vec<Route>,
}

impl Whole {
    /// A new one of which nothing more is known.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            hardware: None,
            is_up: false,
            mtu: None,
            master: None,
            ports: Vec::new(),
            addresses: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// The interface with the number `index`; `None` where it could not be made again as it is: a
    /// piece of hardware, one with settings that are not known here, one that others are made of.
    ///
    /// Errors: the kernel does not tell.
    pub fn read(index: u32) -> io::Result<Option<Self>> {
        let mut all: Vec<(Interface, Link)> = Vec::new();
        Netlink::new(Subject::Route).dump(GET_LINK, &[0; LINK_BYTES], |body| {
            all.extend(interface(body).zip(Link::read(body)));
        })?;
        let name_of = |index| all.iter().find(|(it, _)| Some(it.index) == index);
        let name_of = |index| name_of(index).map(|(it, _)| it.name.clone());
        let Some((it, link)) = all.iter().find(|(it, _)| it.index == index) else {
            return Ok(None);
        };
        let has_children = all.iter().any(|(_, other)| other.parent == Some(index));
        let Some(kind) = link.kind(name_of(link.parent)) else { return Ok(None) };
        if has_children || !it.other_names.is_empty() {
            return Ok(None);
        }
        let ports: Vec<String> = all
            .iter()
            .filter(|(other, _)| other.master == Some(index))
            .map(|(other, _)| other.name.clone())
            .collect();
        let is_its_own = match kind {
            Kind::Bridge => ports.is_empty(),
            Kind::Dummy => true,
            Kind::Vlan { .. } => false,
        };
        let own = |address: &Address| address.interface == index && !address.is_of_link;
        let own = addresses()?.into_iter().filter(own).map(|it| (it.address, it.length));
        Ok(Some(Self {
            kind,
            hardware: is_its_own.then(|| link.hardware.clone()),
            is_up: it.is_up,
            mtu: Some(it.mtu),
            master: name_of(it.master),
            ports,
            addresses: own.collect(),
            routes: routes(index)?,
        }))
    }

    /// Makes it under this name.
    pub(super) fn make(&self, name: &str) -> io::Result<()> {
        let mut body = made(name, &self.kind)?;
        if let Some(hardware) = &self.hardware {
            body = with(body, 1, hardware);
        }
        Netlink::new(Subject::Route).change(super::NEW_LINK, CREATE | EXCLUSIVE, &body)?;
        // The ports first: a bridge takes its own address from them.
        for port in &self.ports {
            super::change(port, &Act::Master(Some(name.to_owned())))?;
        }
        let mut acts: Vec<Act> = self.mtu.map(Act::Mtu).into_iter().collect();
        acts.extend(self.master.clone().map(|master| Act::Master(Some(master))));
        acts.extend(self.addresses.iter().map(|(address, length)| Act::Add(*address, *length)));
        acts.extend(self.is_up.then_some(Act::Switch { on: true }));
        acts.iter().try_for_each(|act| super::change(name, act))?;
        for route in &self.routes {
            match super::change(name, &Act::Route(*route)) {
                // The kernel makes those to the networks of its addresses.
                Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {}
                done => done?,
            }
        }
        Ok(())
    }
}

/// What the kernel tells of a link beside that.
#[derive(Default)]
struct Link {
    hardware: Vec<u8>,
    parent: Option<u32>,
    kind: String,
    data: Vec<u8>,
}

impl Link {
    fn read(body: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        for (kind, value) in attributes(body.get(LINK_BYTES..)?) {
            match kind {
                1 => found.hardware = value.to_vec(),
                5 => found.parent = u32_at(value, 0).filter(|parent| *parent != 0),
                18 => {
                    for (kind, value) in attributes(value) {
                        match kind {
                            1 => found.kind = text(value),
                            2 => found.data = value.to_vec(),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Some(found)
    }

    fn kind(&self, parent: Option<String>) -> Option<Kind> {
        let datum = |wanted| attributes(&self.data).find(|(kind, _)| *kind == wanted);
        let datum = |wanted| datum(wanted).map(|(_, value)| value);
        match self.kind.as_str() {
            "dummy" => Some(Kind::Dummy),
            "vlan" => {
                /// The usual protocol, 802.1Q.
                const USUAL: [u8; 2] = [0x81, 0];
                let number = u16_at(datum(1)?, 0)?;
                let is_usual = datum(5).is_none_or(|protocol| protocol == USUAL);
                is_usual.then_some(Kind::Vlan { parent: parent?, number })
            }
            "bridge" => {
                // Times in hundredths of a second, and whether it looks for loops, as a new one has
                // them; then whether it knows of VLANs.
                let is = |wanted, usual| {
                    datum(wanted).and_then(|it| u32_at(it, 0)).is_none_or(|it| it == usual)
                };
                let times = [(1, 1500), (2, 200), (3, 2000), (4, 30_000), (5, 0)];
                let is_new = times.into_iter().all(|(wanted, usual)| is(wanted, usual));
                let is_plain = datum(7).is_none_or(|value| value == [0]);
                (is_new && is_plain).then_some(Kind::Bridge)
            }
            _ => None,
        }
    }
}
