//! Addresses of receivers: `tcp://host:port`, `unix-datagram:///dev/log`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A receiver's address: `tcp://HOST:PORT`, `tls://HOST:PORT`, `udp://HOST:PORT`,
/// `unix-stream:///PATH` or `unix-datagram:///PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    text: String,
    pub(super) way: Way,
    pub(super) place: Place,
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// UDP: one message a datagram.
    Udp,
    /// A unix socket that is a stream.
    UnixStream,
    /// A unix socket that takes one message a datagram.
    UnixDatagram,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Host(String, Option<u16>),
    Path(PathBuf),
}

const WAYS: [(&str, Way); 5] = [
    ("tcp", Way::Tcp),
    ("tls", Way::Tls),
    ("udp", Way::Udp),
    ("unix-stream", Way::UnixStream),
    ("unix-datagram", Way::UnixDatagram),
];

impl Way {
    /// Whether messages travel one a datagram.
    pub fn is_datagram(self) -> bool {
        matches!(self, Self::Udp | Self::UnixDatagram)
    }
}

impl Address {
    /// How messages travel.
    pub fn way(&self) -> Way {
        self.way
    }

    /// The same address with this port, where it names none.
    #[must_use]
    pub fn or_port(mut self, port: u16) -> Self {
        if let Place::Host(_, missing @ None) = &mut self.place {
            *missing = Some(port);
            self.text = format!("{}:{port}", self.text);
        }
        self
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "`{text}`: {why}; expected tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, \
                 unix-stream:///PATH or unix-datagram:///PATH"
            )
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| wrong("it has no scheme"))?;
        let (_, way) = WAYS
            .iter()
            .find(|(name, _)| *name == scheme)
            .ok_or_else(|| wrong(&format!("there is no `{scheme}:` here")))?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let place = match way {
            Way::Tcp | Way::Tls | Way::Udp => host(rest.trim_end_matches('/')).map_err(wrong)?,
            Way::UnixStream | Way::UnixDatagram if rest.starts_with('/') => {
                Place::Path(rest.into())
            }
            Way::UnixStream | Way::UnixDatagram => {
                return Err(wrong("the socket's path does not begin with `/`"));
            }
        };
        Ok(Self { text: text.to_owned(), way: *way, place })
    }
}

fn host(text: &str) -> Result<Place, &'static str> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) = rest.split_once(']').ok_or("`[` without `]`")?;
            (name, rest.strip_prefix(':').or(rest.is_empty().then_some("")))
        }
        None if text.matches(':').count() > 1 => {
            return Err("an IPv6 address stands in brackets");
        }
        None => text.split_once(':').map_or((text, Some("")), |(name, port)| (name, Some(port))),
    };
    if name.is_empty() || name.contains(['/', '@', '?', '#', ' ']) {
        return Err("it has no host's name");
    }
    let port = match port {
        Some("") if !text.ends_with(':') => None,
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or("no such port")?),
        None => return Err("no such port"),
    };
    Ok(Place::Host(name.to_owned(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(tcp|tls|udp|unix-stream|unix-datagram):",
            "description": "an address such as `tcp://logs.example.com:5140`",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_read_as_people_write_them() {
        let host = |text: &str| match text.parse::<Address>().unwrap().or_port(514) {
            Address { place: Place::Host(name, Some(port)), way, .. } => (way, name, port),
            other => panic!("{other:?}"),
        };
        assert_eq!(host("tcp://logs.example.com:601"), (Way::Tcp, "logs.example.com".into(), 601));
        assert_eq!(host("udp://10.0.0.1"), (Way::Udp, "10.0.0.1".into(), 514));
        assert_eq!(host("udp:[::1]:5140"), (Way::Udp, "::1".into(), 5140));
        assert_eq!(host("tcp://[::1]"), (Way::Tcp, "::1".into(), 514));
        let local: Address = "unix-datagram:///dev/log".parse().unwrap();
        assert_eq!(local.place, Place::Path("/dev/log".into()));
        assert!(local.way().is_datagram());
        assert_eq!("tcp://a".parse::<Address>().unwrap().or_port(1).to_string(), "tcp://a:1");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, reason) in [
            ("logs.example.com", "no scheme"),
            ("http://x", "no `http:`"),
            ("tcp://", "no host"),
            ("tcp://a:0", "no such port"),
            ("tcp://a:x", "no such port"),
            ("tcp://a:", "no such port"),
            ("tcp://::1:514", "brackets"),
            ("tcp://me@a:5", "no host"),
            ("tcp://a/b:5", "no host"),
            ("unix-stream:x", "begin with"),
        ] {
            let refusal = text.parse::<Address>().unwrap_err();
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_text_brings_the_reader_down(text: String) {
            text.parse::<Address>().ok();
            format!("tcp://{text}").parse::<Address>().ok();
        }
    }
}
