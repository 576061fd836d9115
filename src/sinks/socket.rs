//! `socket`: sends records to a TCP, UDP or unix socket.

use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::log::LogBatch;
use crate::event::{Batch, Kinds};
use crate::net::link::{Address, Framing, KeepAliveSettings, Link, Way};
use crate::net::tls::TlsSettings;
use crate::topology::component::{BuildContext, BuiltSink, Encode, Fault, SinkConfig};
use crate::topology::delivery::{Delivery, RateLimit};
use crate::topology::request::Requests;
use crate::topology::settings::{BatchSettings, ByteSize, Period, RetrySettings};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Why a record goes nowhere that is longer than what can be sent at once.
const TOO_LONG: &str = "too_long";
/// The most that fits into a datagram of UDP over IPv4.
const UDP_BYTES: u64 = 65_507;
/// Below what Linux lets into one datagram of a unix socket by default.
const UNIX_DATAGRAM_BYTES: u64 = 128 << 10;

/// Sends records to a TCP, TLS, UDP or unix socket, one message each.
///
/// Over TCP a record counts as delivered once the receiver's kernel has acknowledged it and the
/// connection was not closed since; over a unix stream once the receiver has read it. After a break
/// everything not delivered is sent again over a new connection, so that a receiver may see a
/// record twice. TCP has no word for "stored": what a receiver's kernel had acknowledged is gone
/// where the receiver ends without reading it. Datagrams of UDP may be lost on the way without
/// anybody noticing.
///
/// ```yaml
/// sinks:
///   collector: {type: socket, inputs: [app], url: "tcp://collector.example.com:9000"}
///   local: {type: socket, inputs: [app], url: "unix-stream:///run/collector.sock", framing: nul}
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to: `tcp://HOST:PORT`, `tls://HOST:PORT`, `udp://HOST:PORT`, `unix-stream:///PATH` or
    /// `unix-datagram:///PATH`.
    pub url: Address,
    /// How records are written; not `json`, which is one array, and without a header for `csv`.
    /// All but untouched text carry `timestamp`, `host` and `path`.
    #[serde(default = "ndjson")]
    pub encoding: Encoding,
    /// For streams: how the receiver tells where a record ends. By default `newline`.
    #[serde(default)]
    pub framing: Option<Framing>,
    /// A longer record is dropped, counted as `too_long`. By default 65507 over UDP and 128KiB for
    /// unix datagrams, which is also the most that they can be; no limit for streams.
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

fn ndjson() -> Encoding {
    Encoding::Ndjson
}

fn default_timeout() -> Period {
    Period(Duration::from_secs(30))
}

fn default_batch() -> BatchSettings {
    BatchSettings { age: Period(Duration::ZERO), ..BatchSettings::default() }
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS.union(Kinds::METRICS)
    }

    fn dead_letter(&self) -> Option<&str> {
        self.dead_letter.as_deref()
    }

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        let (encoder, link) = self.parts().map_err(Fault::fatal)?;
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
    fn parts(&self) -> Result<(Messages, Link), String> {
        match &self.encoding {
            Encoding::Json => {
                let message = "`encoding: json` is one array, and a socket has no end to close it \
                               at; `ndjson` is one object a message";
                return Err(message.to_owned());
            }
            Encoding::Csv(csv) if csv.header => {
                let message = "`header` says what a file begins with, and a socket has no \
                               beginning: leave it out";
                return Err(message.to_owned());
            }
            _ => {}
        }
        let most = match self.url.way() {
            Way::Udp => UDP_BYTES,
            Way::UnixDatagram => UNIX_DATAGRAM_BYTES,
            _ => u64::MAX,
        };
        let longest = self.max_message_bytes.map_or(most, |longest| longest.0);
        if longest > most {
            return Err(format!("`max_message_bytes` is over {most}, the most that fits here"));
        }
        let link = Link::new(&self.url, self.framing, self.keepalive, &self.tls, self.timeout.0)?;
        let lines = self.framing.unwrap_or(Framing::Newline) == Framing::Newline;
        let messages = Messages {
            framing: link.framing(),
            is_plain: lines && longest == u64::MAX && !self.url.way().is_datagram(),
            longest: usize::try_from(longest).unwrap_or(usize::MAX),
            encoder: Encoder::new(&self.encoding, Extra::Origin),
            message: Vec::new(),
        };
        Ok((messages, link))
    }
}

struct Messages {
    framing: Framing,
    encoder: Encoder,
    /// Whether what the encoder writes is what is sent.
    is_plain: bool,
    longest: usize,
    /// The record at hand, used again for each.
    message: Vec<u8>,
}

impl Messages {
    fn encode_logs(&mut self, logs: &LogBatch, requests: &mut Requests) {
        for (at, record) in logs.records().enumerate() {
            self.message.clear();
            self.encoder.encode_record(&record, &mut self.message);
            let message = self.message.strip_suffix(b"\n").unwrap_or(&self.message);
            if message.len() > self.longest {
                requests.leave_out(at, TOO_LONG);
            } else {
                let request = requests.to("");
                request.append_record(&record, |body| self.framing.frame(message, body));
            }
        }
    }
}

impl Encode for Messages {
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault> {
        match batch {
            Batch::Tasks(_) => return Err(Fault::fatal("a socket takes no tasks")),
            _ if self.is_plain => {
                requests.to("").append_without_header(&mut self.encoder, batch)?;
            }
            Batch::Logs(logs) => self.encode_logs(logs, requests),
            Batch::Metrics(metrics) => {
                self.message.clear();
                self.encoder.encode_metrics(metrics, &mut self.message);
                let lines = self.message.split(|byte| *byte == b'\n');
                for (at, line) in lines.filter(|line| !line.is_empty()).enumerate() {
                    if line.len() > self.longest {
                        requests.leave_out(at, TOO_LONG);
                    } else {
                        self.framing.frame(line, &mut requests.to("").body);
                    }
                }
                requests.to("").records += batch.len() as u64;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::Origin;
    use crate::topology::component::Deliver as _;
    use bytes::Bytes;
    use std::sync::Arc;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, UdpSocket};

    fn sink(config: serde_json::Value) -> Result<(Messages, Link), String> {
        serde_json::from_value::<Config>(config).map_err(|error| error.to_string())?.parts()
    }

    fn batch(lines: &'static str) -> Batch {
        let origin = Origin { source: "app".into(), host: "web1".into(), ..Origin::default() };
        Batch::Logs(LogBatch::from_lines(&Bytes::from(lines), Arc::new(origin), 0, 0))
    }

    async fn send((messages, link): &mut (Messages, Link), lines: &'static str) {
        let mut requests = Requests::default();
        messages.encode(&batch(lines), &mut requests).unwrap();
        for request in requests.iter() {
            link.deliver(request).await.unwrap();
        }
    }

    #[tokio::test]
    async fn records_arrive_encoded_and_framed_as_asked() {
        let json = |text: &str| {
            format!(r#"{{"timestamp":"1970-01-01T00:00:00Z","host":"web1","message":"{text}"}}"#)
        };
        for (settings, expected) in [
            (serde_json::json!({}), format!("{}\n{}\n", json("one"), json("two"))),
            (serde_json::json!({ "encoding": "text" }), "one\ntwo\n".to_owned()),
            (serde_json::json!({ "encoding": "text", "framing": "nul" }), "one\0two\0".to_owned()),
            (
                serde_json::json!({ "framing": "octet_counting" }),
                format!("{} {}", json("one").len(), json("one"))
                    + &format!("{} {}", json("two").len(), json("two")),
            ),
            (
                serde_json::json!({ "encoding": "text", "framing": "length_delimited" }),
                "\0\0\0\x03one\0\0\0\x03two".to_owned(),
            ),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut config = settings;
            config["url"] = format!("tcp://{}", listener.local_addr().unwrap()).into();
            let mut sink = sink(config).unwrap();
            send(&mut sink, "one\ntwo\n").await;
            drop(sink);
            let mut received = String::new();
            listener.accept().await.unwrap().0.read_to_string(&mut received).await.unwrap();
            assert_eq!(received, expected);
        }
    }

    #[tokio::test]
    async fn a_record_that_no_datagram_can_hold_is_dropped_and_the_others_are_not() {
        let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let url = format!("udp://{}", receiver.local_addr().unwrap());
        let config = serde_json::json!({
            "url": url, "encoding": "text", "max_message_bytes": 5
        });
        let mut sink = sink(config).unwrap();
        send(&mut sink, "short\nmuch longer\nlast\n").await;
        let mut text = [0; 100];
        for expected in ["short", "last"] {
            let read = receiver.recv(&mut text).await.unwrap();
            assert_eq!(&text[..read], expected.as_bytes());
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for (settings, reason) in [
            (serde_json::json!({ "url": "tcp://a" }), "no port"),
            (serde_json::json!({ "url": "tcp://a:1", "encoding": "json" }), "one array"),
            (
                serde_json::json!({
                    "url": "tcp://a:1", "encoding": { "csv": { "fields": ["a"], "header": true } }
                }),
                "no beginning",
            ),
            (serde_json::json!({ "url": "udp://a:1", "max_message_bytes": "1MiB" }), "the most"),
            (serde_json::json!({ "url": "udp://a:1", "framing": "nul" }), "for streams"),
        ] {
            let refusal = sink(settings).err().unwrap();
            assert!(refusal.contains(reason), "{refusal}");
        }
    }
}
