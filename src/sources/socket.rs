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
/// ```
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
        Ok(Box::new(Listener(self.0.clone())))
    }
}

struct Listener(Settings);

#[async_trait]
impl Source for Listener {
    async fn run(self: Box<Self>, out: Output, cx: SourceContext) -> Result<(), Fault> {
        listen::run(&self.0, Framing::Lines, out, cx).await
    }
}
