//! `socket`: listens for lines, over UDP, TCP and unix sockets.

use crate::event::Kinds;
use crate::net::listen::{self, Framing, Settings};
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::output::Output;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

/// Listens for lines: each line of a stream, or each datagram, is a record.
///
/// ```yaml
/// sources:
///   app: {type: socket, mode: tcp, listen: "127.0.0.1:9000", peer_field: source_ip}
///   java:
///     type: socket
///     mode: unix_stream
///     listen: /run/driftless/java.sock
///     multiline: {mode: java}
/// ```
///
/// With `multiline` a record that may go on waits for further lines of its connection, up to
/// `timeout`; where the connection ends, it is taken as it is. Empty lines are no records.
///
/// A datagram may have line feeds within; one at its end is left out. What holds for `syslog`
/// about messages that cannot be read again holds here too. With `agent --once` it does not
/// listen.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(Settings);

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        self.0.check()?;
        let framing = self.0.text()?;
        Ok(Box::new(Listener { settings: self.0.clone(), framing }))
    }
}

struct Listener {
    settings: Settings,
    framing: Framing,
}

#[async_trait]
impl Source for Listener {
    async fn run(self: Box<Self>, out: Output, cx: SourceContext) -> Result<(), Fault> {
        listen::run(&self.settings, self.framing, out, cx).await
    }
}
