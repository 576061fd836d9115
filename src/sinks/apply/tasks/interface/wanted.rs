//! What a task `interface` wants, read from its parameters: addresses, routes, what it is.

use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::host::network::{Kind, Route};
use crate::sinks::apply::params::Params;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kernel takes no longer name.
const MOST_BYTES: usize = 15;

/// What can be said against the parameters as written.
pub(super) fn check(params: &Params) -> Vec<Diagnostic> {
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
        Some((_, Ok(all))) if !all.is_empty() && params.text("state") == Some("down") => {
            complain("routes", "an interface that is `down` has no routes".into());
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

/// What is made where it is not there; `None` where nothing is said of that.
pub(super) fn kind(params: &Params) -> Option<Kind> {
    match params.text("type")? {
        "bridge" => Some(Kind::Bridge),
        "vlan" => Some(Kind::Vlan {
            parent: params.text("parent")?.to_owned(),
            number: u16::try_from(params.int("vlan")?).ok()?,
        }),
        _ => Some(Kind::Dummy),
    }
}

/// An address, and the length of its network where that is said.
pub(super) fn network(text: &str) -> Option<(IpAddr, Option<u8>)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    length.is_none_or(|length| length <= bits(address)).then_some((address, length))
}

/// How many bits an address of this kind has.
fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address of the network of `address`, `length` bits of which count.
pub(super) fn start(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(it) => {
            let rest = 32_u32.saturating_sub(u32::from(length));
            let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
            Ipv4Addr::from_bits(it.to_bits() & mask).into()
        }
        IpAddr::V6(it) => {
            let rest = 128_u32.saturating_sub(u32::from(length));
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            Ipv6Addr::from_bits(it.to_bits() & mask).into()
        }
    }
}

/// The words that name a route.
pub(super) fn words(route: &Route) -> String {
    let mut words = match route.length {
        0 => "default".to_owned(),
        length if length == bits(route.to) => route.to.to_string(),
        length => format!("{}/{length}", route.to),
    };
    if let Some(via) = route.via {
        words.push_str(&format!(" via {via}"));
    }
    if let Some(metric) = route.metric {
        words.push_str(&format!(" metric {metric}"));
    }
    words
}

/// The routes that `routes` lists.
pub(super) fn routes(node: &Node) -> Result<Vec<Route>, String> {
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
        let everywhere = match via {
            Some(IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        return Ok(Route { to: everywhere, length: 0, via, metric });
    }
    let (address, length) =
        network(to).ok_or_else(|| format!("`{to}` is neither a network nor `default`"))?;
    let length = length.unwrap_or_else(|| bits(address));
    let first = start(address, length);
    if first != address {
        return Err(format!("`{to}` is an address in the network {first}/{length}"));
    }
    if address.is_ipv6() && via.is_some_and(|via| via.is_ipv4()) {
        return Err(format!("a route to `{to}` goes by an address of IPv6"));
    }
    Ok(Route { to: address, length, via, metric })
}
