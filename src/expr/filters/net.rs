//! Filters on addresses of networks: the basics of the collection `ansible.utils`.

use crate::expr::call::{Call, Callable, list};
use minijinja::Error;
use minijinja::value::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["ipaddr"],
        "query=''",
        |call| addresses(call, None),
        "The address if it is one, else false; or what `query` asks of it: `address`, `network`, \
         `prefix`, `netmask`, `broadcast`, `host`, `host/prefix`, `subnet`, `size`, `version`, \
         `private`, `public`, `loopback`, `revdns`, a number of the address in its network, or a \
         network that it must be in. Of a list those that fit.",
        "'10.0.0.5/24' | ipaddr('network') → '10.0.0.0'",
    ),
    Callable::new(
        &["ipv4"],
        "query=''",
        |call| addresses(call, Some(4)),
        "As `ipaddr`, for IPv4 only.",
        "['::1', '10.0.0.1'] | ipv4 → ['10.0.0.1']",
    ),
    Callable::new(
        &["ipv6"],
        "query=''",
        |call| addresses(call, Some(6)),
        "As `ipaddr`, for IPv6 only.",
        "['::1', '10.0.0.1'] | ipv6 → ['::1']",
    ),
    Callable::new(
        &["ipwrap"],
        "",
        |call| {
            let text = call.value.to_string();
            let (address, rest) =
                text.split_once('/').map_or((text.as_str(), ""), |(a, _)| (a, &text[a.len()..]));
            Ok(match address.parse::<Ipv6Addr>() {
                Ok(_) => format!("[{address}]{rest}").into(),
                Err(_) => call.value.clone(),
            })
        },
        "An IPv6 address in brackets, anything else as it is.",
        "'::1' | ipwrap → '[::1]'",
    ),
    Callable::new(
        &["ipsubnet"],
        "query='', index=none",
        subnet,
        "How many networks of that size a network has, or the one with a number.",
        "'10.0.0.0/16' | ipsubnet(24, 1) → '10.0.1.0/24'",
    ),
];

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Net {
    bits: u128,
    is_v6: bool,
    prefix: u32,
    /// Whether the prefix was written.
    is_network: bool,
}

impl Net {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (bits, is_v6) = match address {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)), false),
            IpAddr::V6(v6) => (u128::from(v6), true),
        };
        let width = if is_v6 { 128 } else { 32 };
        let length = match prefix {
            None => width,
            Some(prefix) => match prefix.parse::<u32>() {
                Ok(length) => length,
                Err(_) => {
                    let mask = u32::from(prefix.parse::<Ipv4Addr>().ok()?);
                    (mask.leading_ones() + mask.trailing_zeros() == 32)
                        .then_some(mask.leading_ones())?
                }
            },
        };
        (length <= width).then_some(Self {
            bits,
            is_v6,
            prefix: length,
            is_network: prefix.is_some(),
        })
    }

    fn width(&self) -> u32 {
        if self.is_v6 { 128 } else { 32 }
    }

    fn mask(&self) -> u128 {
        let host_bits = self.width() - self.prefix;
        let all = if self.is_v6 { u128::MAX } else { u128::from(u32::MAX) };
        if host_bits == 128 { 0 } else { (all >> host_bits) << host_bits }
    }

    fn first(&self) -> u128 {
        self.bits & self.mask()
    }

    fn last(&self) -> u128 {
        let all = if self.is_v6 { u128::MAX } else { u128::from(u32::MAX) };
        self.bits | (all & !self.mask())
    }

    fn spell(&self, bits: u128) -> String {
        match self.is_v6 {
            true => Ipv6Addr::from(bits).to_string(),
            false => Ipv4Addr::from(u32::try_from(bits).unwrap_or(u32::MAX)).to_string(),
        }
    }

    fn holds(&self, other: &Self) -> bool {
        self.is_v6 == other.is_v6
            && self.prefix <= other.prefix
            && other.bits & self.mask() == self.first()
    }

    fn is_in(&self, networks: &[&str]) -> bool {
        networks.iter().filter_map(|text| Self::parse(text)).any(|network| network.holds(self))
    }

    fn is_private(&self) -> bool {
        self.is_in(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"])
    }

    fn is_loopback(&self) -> bool {
        self.is_in(&["127.0.0.0/8", "::1/128"])
    }

    /// What `query` asks for; false where the address does not fit it, `None` where it is no query.
    fn answer(&self, query: &str, text: &str) -> Option<Value> {
        let prefix = self.prefix;
        let fits = |fits: bool, answer: String| {
            if fits { Value::from(answer) } else { Value::from(false) }
        };
        let with_prefix = |bits| format!("{}/{prefix}", self.spell(bits));
        let is_address = prefix + 1 >= self.width() || self.bits != self.first();
        Some(match query {
            "" => text.trim().into(),
            "address" | "ip" => fits(is_address, self.spell(self.bits)),
            "network" => self.spell(self.first()).into(),
            "network/prefix" | "subnet" | "cidr" | "cidr_lookup" => {
                with_prefix(self.first()).into()
            }
            "prefix" | "prefixlen" => prefix.into(),
            "netmask" => self.spell(self.mask()).into(),
            "hostmask" | "wildcard" => self.spell(self.last() - self.first()).into(),
            "broadcast" => fits(!self.is_v6 && prefix < 31, self.spell(self.last())),
            "host" | "host/prefix" | "gateway" | "hostnet" => {
                fits(is_address, with_prefix(self.bits))
            }
            "net" => fits(
                self.is_network && self.bits == self.first() && prefix < self.width(),
                with_prefix(self.bits),
            ),
            "size" => (self.last() - self.first())
                .checked_add(1)
                .map_or_else(|| Value::from(u128::MAX), Value::from),
            "version" => if self.is_v6 { 6 } else { 4 }.into(),
            "ipv4" => fits(!self.is_v6, text.trim().into()),
            "ipv6" => fits(self.is_v6, text.trim().into()),
            "private" => fits(self.is_private(), text.trim().into()),
            "loopback" | "lo" => fits(self.is_loopback(), text.trim().into()),
            "multicast" => fits(self.is_in(&["224.0.0.0/4", "ff00::/8"]), text.trim().into()),
            "link-local" => fits(self.is_in(&["169.254.0.0/16", "fe80::/10"]), text.trim().into()),
            "public" => {
                let inner =
                    ["169.254.0.0/16", "fe80::/10", "224.0.0.0/4", "ff00::/8", "240.0.0.0/4"];
                let outside = !self.is_private() && !self.is_loopback() && !self.is_in(&inner);
                fits(outside, text.trim().into())
            }
            "int" => match self.is_network {
                true => format!("{}/{prefix}", self.bits).into(),
                false => self.bits.into(),
            },
            "revdns" => self.reverse().into(),
            "first_usable" | "last_usable" | "range_usable" => {
                let (mut first, mut last) = (self.first(), self.last());
                if !self.is_v6 && prefix < 31 {
                    (first, last) = (first + 1, last - 1);
                }
                match query {
                    "first_usable" => self.spell(first).into(),
                    "last_usable" => self.spell(last).into(),
                    _ => format!("{}-{}", self.spell(first), self.spell(last)).into(),
                }
            }
            other => match (other.parse::<i64>(), Self::parse(other)) {
                (Ok(number), _) => {
                    let at = u128::from(number.unsigned_abs());
                    let found = match number < 0 {
                        true => self.last().checked_sub(at - 1),
                        false => self.first().checked_add(at),
                    };
                    let found = found.filter(|at| (self.first()..=self.last()).contains(at));
                    found.map_or_else(|| Value::from(false), |bits| with_prefix(bits).into())
                }
                (_, Some(network)) => fits(network.holds(self), text.trim().into()),
                _ => return None,
            },
        })
    }

    fn reverse(&self) -> String {
        match self.is_v6 {
            false => {
                let bytes = u32::try_from(self.bits).unwrap_or(0).to_be_bytes();
                let [a, b, c, d] = bytes;
                format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
            }
            true => {
                let digits = format!("{:032x}", self.bits);
                let digits: Vec<String> = digits.chars().rev().map(|c| c.to_string()).collect();
                format!("{}.ip6.arpa.", digits.join("."))
            }
        }
    }
}

fn addresses(call: &mut Call<'_, '_, '_>, version: Option<u8>) -> Result<Value, Error> {
    let query = call.text("query").unwrap_or_default();
    let one = |value: &Value| -> Result<Value, Error> {
        let text = value.to_string();
        let Some(net) = Net::parse(&text) else { return Ok(false.into()) };
        if version.is_some_and(|version| (version == 6) != net.is_v6) {
            return Ok(false.into());
        }
        net.answer(&query, &text).ok_or_else(|| call.wrong(format!("knows no query `{query}`")))
    };
    match list(&call.value) {
        Some(items) => {
            let answers = items.iter().map(one).collect::<Result<Vec<_>, _>>()?;
            let refused = Value::from(false);
            Ok(answers
                .into_iter()
                .filter(|answer| *answer != refused || answer.is_number())
                .collect())
        }
        None => one(&call.value),
    }
}

fn subnet(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let text = call.value.to_string();
    let Some(net) = Net::parse(&text) else { return Ok(false.into()) };
    let Some(query) = call.text("query").filter(|query| !query.is_empty()) else {
        return Ok(format!("{}/{}", net.spell(net.first()), net.prefix).into());
    };
    let Ok(prefix) = query.parse::<u32>() else {
        return Err(call.wrong(format!("takes the length of a prefix, not `{query}`")));
    };
    if prefix > net.width() {
        return Ok(false.into());
    }
    if prefix < net.prefix {
        let wider = Net { prefix, ..net };
        return Ok(format!("{}/{prefix}", wider.spell(wider.first())).into());
    }
    let count = 1_u128.checked_shl(prefix - net.prefix).unwrap_or(u128::MAX);
    let Some(index) = call.int("index")? else { return Ok(count.into()) };
    let at = match index < 0 {
        true => count.checked_sub(u128::from(index.unsigned_abs())),
        false => Some(u128::from(index.unsigned_abs())).filter(|at| *at < count),
    };
    let Some(at) = at else { return Ok(false.into()) };
    let step = 1_u128.checked_shl(net.width() - prefix).unwrap_or(0);
    let first = net.first().wrapping_add(at.wrapping_mul(step));
    Ok(format!("{}/{prefix}", net.spell(first)).into())
}
