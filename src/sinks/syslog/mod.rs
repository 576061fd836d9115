//! `syslog`: sends records to a syslog server.

mod message;
#[cfg(test)]
mod tests;
mod words;

use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::{Batch, Kinds};
use crate::expr::text_value::TextValue;
use crate::net::link::{Address, Framing, KeepAliveSettings, Link, Way};
use crate::net::tls::TlsSettings;
use crate::topology::component::{BuildContext, BuiltSink, Encode, Fault, SinkConfig};
use crate::topology::delivery::{Delivery, RateLimit};
use crate::topology::request::Requests;
use crate::topology::settings::{BatchSettings, ByteSize, Period, RetrySettings};
use indexmap::IndexMap;
use message::{Elements, Formatter, Parts, SD_NAME_BYTES};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use std::time::Duration;

/// Where syslog servers listen.
const PORT: u16 = 514;
/// Where they listen for TLS (RFC 5425).
const TLS_PORT: u16 = 6514;
/// What every receiver of RFC 5426 should take.
const UDP_BYTES: u64 = 2048;
/// The most that fits into a datagram.
const MOST_UDP_BYTES: u64 = 65_507;
/// What a local syslog daemon takes.
const UNIX_DATAGRAM_BYTES: u64 = 64 << 10;
/// What every receiver must take; a shorter limit would cut into the header.
const LEAST_BYTES: u64 = 480;

/// Sends records to a syslog server, one message each.
///
/// What a record says of itself goes into the header: the fields `facility`, `severity` (or `level`),
/// `hostname`, `app_name` (or `appname`), `procid`, `msgid` and `structured_data`, which `parse` makes
/// of a syslog line; so a line that came from syslog leaves as what it was. Settings of these names
/// take their place: a text for all records, or one with fields in it (`"{{ service }}"`).
///
/// Over TCP a message counts as delivered once the receiver's kernel has acknowledged it and the
/// connection was not closed since; over a unix stream once the receiver has read it. After a break
/// everything not delivered is sent again over a new connection, so that a receiver may see a
/// message twice. Syslog over TCP has no word for "stored": what a receiver's kernel had
/// acknowledged is gone where the receiver ends without reading it. Datagrams of UDP may be lost on
/// the way without anybody noticing.
///
/// ```yaml
/// sinks:
///   central:
///     type: syslog
///     inputs: [app]
///     url: tcp://logs.example.com:601
///     framing: octet_counting
///     facility: local0
///     app_name: "{{ service }}"
///     structured_data: {"request@32473": [request_id, user]}
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to: `udp://HOST:PORT`, `tcp://HOST:PORT`, `tls://HOST:PORT`, `unix-datagram:///dev/log`
    /// or `unix-stream:///PATH`. Without a port, 514, or for TLS 6514.
    pub url: Address,
    /// What a message looks like.
    #[serde(default)]
    pub format: Format,
    /// For streams: how the receiver tells where a message ends. By default `newline`, which every
    /// receiver understands, or for TLS `octet_counting`, which is its standard's (RFC 5425).
    #[serde(default)]
    pub framing: Option<Framing>,
    /// What the message comes from: a word such as `local0`, or a number from 0 to 23. By default
    /// the record's field `facility`, else `user`.
    #[serde(default)]
    pub facility: Option<String>,
    /// How bad it is: a word such as `warning`, or a number from 0 to 7. By default the record's
    /// field `severity` or `level`, else `info`.
    #[serde(default)]
    pub severity: Option<String>,
    /// The host. By default the record's field `hostname`, else the host that the record was read
    /// on.
    #[serde(default)]
    pub hostname: Option<String>,
    /// The program. By default the record's field `app_name` or `appname`, else the name of the
    /// source.
    #[serde(default)]
    pub app_name: Option<String>,
    /// The process. By default the record's field `procid`.
    #[serde(default)]
    pub procid: Option<String>,
    /// The kind of message (RFC 5424 only). By default the record's field `msgid`.
    #[serde(default)]
    pub msgid: Option<String>,
    /// The message's text. By default the record's field `message`, else its line where nothing
    /// changed the record, else the record as JSON.
    #[serde(default)]
    pub message: Option<String>,
    /// In place of `message`: all that the record says, in this encoding.
    #[serde(default)]
    pub encoding: Option<Encoding>,
    /// Fields to send as structured data (RFC 5424 only), by the element that takes them. By default
    /// the record's field `structured_data`, where it is an object of objects.
    #[serde(default)]
    pub structured_data: Option<IndexMap<String, Vec<String>>>,
    /// What becomes of control characters in the text, line feeds above all.
    #[serde(default)]
    pub control_characters: Controls,
    /// A longer message is cut there. By default 2KiB over UDP and 64KiB for unix datagrams; no
    /// limit for streams. At least 480.
    #[serde(default)]
    pub max_message_bytes: Option<ByteSize>,
    /// Whom to trust, and who the sink says it is, for `tls://`.
    #[serde(default)]
    pub tls: TlsSettings,
    /// When the kernel asks whether a silent receiver is still there (TCP only).
    #[serde(default)]
    pub keepalive: KeepAliveSettings,
    /// How long connecting may take, and how long the receiver may take nothing, before the
    /// connection is given up for a new one.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// How much is sent at a time. By default whatever is there, up to 1MiB.
    #[serde(default = "default_batch")]
    pub batch: BatchSettings,
    /// Pauses after a failure.
    #[serde(default)]
    pub retry: RetrySettings,
    /// How many requests, each of up to `batch`, may be sent: so many a second, or
    /// `{requests: 100, per: 1m}`. By default as many as there are.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// Another sink, which takes the records that are given up after `retry.attempts`.
    #[serde(default)]
    pub dead_letter: Option<String>,
}

/// What a message looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `<14>1 2026-03-01T12:00:00.123Z host app procid msgid - text`, in UTC.
    #[default]
    Rfc5424,
    /// `<14>Mar  1 12:00:00 host app[procid]: text`, in local time.
    Rfc3164,
}

/// What becomes of control characters. Tabs stay in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Controls {
    /// `#012` for a line feed and so on, in octal, as rsyslog writes them.
    #[default]
    Escape,
    /// A blank each.
    Space,
    /// They stay. Not with `framing: newline`, nor with `nul`.
    Keep,
}

fn default_timeout() -> Period {
    Period(Duration::from_secs(30))
}

fn default_batch() -> BatchSettings {
    BatchSettings { age: Period(Duration::ZERO), ..BatchSettings::default() }
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn dead_letter(&self) -> Option<&str> {
        self.dead_letter.as_deref()
    }

    fn build(&self, cx: &BuildContext) -> Result<BuiltSink, Fault> {
        let (encoder, link) = self.parts(&cx.env.constants.load()).map_err(Fault::fatal)?;
        let delivery = Delivery {
            batch: self.batch,
            retry: self.retry,
            rate_limit: self.rate_limit,
            ..Delivery::default()
        };
        Ok(BuiltSink::Requests { encoder: Box::new(encoder), sender: Arc::new(link), delivery })
    }
}

impl Config {
    fn parts(&self, constants: &Map<String, Json>) -> Result<(Messages, Link), String> {
        let address = self.url.clone();
        let is_tls = address.way() == Way::Tls;
        let address = address.or_port(if is_tls { TLS_PORT } else { PORT });
        let framing = self.framing.or(is_tls.then_some(Framing::OctetCounting));
        let needs_safe = matches!(framing, None | Some(Framing::Newline | Framing::Nul));
        if self.control_characters == Controls::Keep && needs_safe && !address.way().is_datagram() {
            let message = "`control_characters: keep` goes with `framing: octet_counting` only, \
                           since a line feed in a message would end it";
            return Err(message.to_owned());
        }
        let link = Link::new(&address, framing, self.keepalive, &self.tls, self.timeout.0)?;
        let value = |name: &str, setting: &Option<String>, fields: &[&str]| {
            TextValue::new(name, setting.as_deref(), fields, constants)
        };
        let parts = Parts {
            facility: value("facility", &self.facility, &["facility"])?,
            severity: value("severity", &self.severity, &["severity", "level"])?,
            hostname: value("hostname", &self.hostname, &["hostname"])?,
            app_name: value("app_name", &self.app_name, &["app_name", "appname"])?,
            procid: value("procid", &self.procid, &["procid"])?,
            msgid: value("msgid", &self.msgid, &["msgid"])?,
            message: value("message", &self.message, &["message"])?,
        };
        known("facility", &parts.facility, words::facility)?;
        known("severity", &parts.severity, words::severity)?;
        let extra = if self.encoding.is_some() { Extra::Origin } else { Extra::Nothing };
        let formatter = Formatter {
            format: self.format,
            parts,
            structured_data: self.structured_data()?,
            controls: self.control_characters,
            longest: self.longest(address.way())?,
            encoder: Encoder::new(&self.encoding()?, extra),
            is_whole: self.encoding.is_some(),
            scratch: Vec::new(),
            local: None,
        };
        Ok((Messages { framing: link.framing(), formatter, message: Vec::new() }, link))
    }

    fn longest(&self, way: Way) -> Result<usize, String> {
        let (usual, most) = match way {
            Way::Udp => (UDP_BYTES, MOST_UDP_BYTES),
            Way::UnixDatagram => (UNIX_DATAGRAM_BYTES, UNIX_DATAGRAM_BYTES),
            _ => (u64::MAX, u64::MAX),
        };
        let longest = self.max_message_bytes.map_or(usual, |longest| longest.0);
        if !(LEAST_BYTES..=most).contains(&longest) {
            return Err(match most {
                u64::MAX => format!("`max_message_bytes` is below {LEAST_BYTES}"),
                _ => format!("`max_message_bytes`: expected {LEAST_BYTES} to {most}"),
            });
        }
        Ok(usize::try_from(longest).unwrap_or(usize::MAX))
    }

    fn encoding(&self) -> Result<Encoding, String> {
        match (&self.encoding, &self.message) {
            (Some(_), Some(_)) => {
                Err("`encoding` writes all of a record, `message` a part; keep one".to_owned())
            }
            (Some(Encoding::Json), _) => {
                Err("`encoding: json` is one array; `ndjson` is one object a message".to_owned())
            }
            (encoding, _) => Ok(encoding.clone().unwrap_or(Encoding::Ndjson)),
        }
    }

    fn structured_data(&self) -> Result<Option<Elements>, String> {
        let Some(elements) = &self.structured_data else { return Ok(None) };
        if self.format == Format::Rfc3164 {
            return Err("`structured_data`: messages of RFC 3164 have none".to_owned());
        }
        let is_name = |name: &str| {
            (1..=SD_NAME_BYTES).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_graphic() && !b"=]\"".contains(&b))
        };
        let names = elements.iter().flat_map(|(name, fields)| std::iter::once(name).chain(fields));
        match names.into_iter().find(|name| !is_name(name)) {
            Some(name) => Err(format!(
                "`structured_data`: `{name}` is no name there; expected up to {SD_NAME_BYTES} \
                 letters, digits or signs, without blanks, `=`, `]` and quotes"
            )),
            None => Ok(Some(elements.clone().into_iter().collect())),
        }
    }
}

/// Refuses a constant that means nothing.
fn known(name: &str, value: &TextValue, read: impl Fn(&[u8]) -> Option<u8>) -> Result<(), String> {
    match value.constant() {
        Some(text) if read(text).is_none() => {
            Err(format!("`{name}`: there is no `{}`", String::from_utf8_lossy(text)))
        }
        _ => Ok(()),
    }
}

struct Messages {
    framing: Framing,
    formatter: Formatter,
    /// The message at hand, used again for each.
    message: Vec<u8>,
}

impl Encode for Messages {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        let Batch::Logs(logs) = batch else {
            return Err(Fault::fatal("a syslog server takes log records only"));
        };
        self.formatter.prepare(logs);
        for (at, record) in logs.records().enumerate() {
            self.message.clear();
            self.formatter.write(&record, at, &mut self.message);
            let request = requests.to("");
            request.append_record(&record, |body| self.framing.frame(&self.message, body));
        }
        Ok(())
    }
}
