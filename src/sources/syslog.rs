//! `syslog`: listens for messages of syslog, over UDP, TCP and unix sockets.

use crate::event::Kinds;
use crate::net::listen::{self, Framing, Settings};
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::output::Output;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

/// Listens for messages of syslog. Each message is a record as it was sent, priority and header
/// included; `parse` with `format: syslog` makes its parts into fields.
///
/// ```yaml
/// sources:
///   network: {type: syslog, mode: tcp, listen: "0.0.0.0:514", peer_field: source_ip}
///   safe:
///     type: syslog
///     mode: tcp
///     listen: "0.0.0.0:6514"
///     tls: {cert_file: /etc/ssl/logs.pem, key_file: /etc/ssl/logs.key, client_ca_file: /etc/ssl/ca.pem}
///   local: {type: syslog, mode: unix, listen: /run/driftless/log.sock, socket_mode: "0666"}
/// ```
///
/// On TCP and unix streams a message ends with a line feed or begins with its length (RFC 6587,
/// RFC 5425); which one is found out message by message, so that all clients can use one port.
///
/// What is sent over a network exists only once. While the sinks are behind, no more is read:
/// clients of TCP and of unix sockets then wait, UDP is dropped by the kernel, and counted. What
/// was read is held in memory until every sink has it, and sent again where a component failed;
/// on SIGTERM it is delivered first. A process that is killed loses what was on its way to the
/// sinks, up to 16MiB. With `agent --once` it does not listen.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(Settings);

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        self.0.check()?;
        self.0.no_text()?;
        Ok(Box::new(Listener(self.0.clone())))
    }
}

struct Listener(Settings);

#[async_trait]
impl Source for Listener {
    async fn run(self: Box<Self>, out: Output, cx: SourceContext) -> Result<(), Fault> {
        listen::run(&self.0, Framing::Syslog, out, cx).await
    }
}
