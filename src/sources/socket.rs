//! `socket`: listens for lines, over UDP, TCP and unix sockets.

use crate::event::Kinds;
use crate::net::tls::ListenTls;
use crate::net::listen::{self, Framing, Mode, Settings};
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::output::Output;
use crate::topology::settings::{ByteSize, Period};
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
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What kind of socket to listen on.
    pub mode: Mode,
    /// Where to listen: address and port for `udp` and `tcp`, else the path of the socket. A
    /// socket that a dead process has left there is replaced.
    pub listen: String,
    /// For `tcp`: speak TLS.
    #[serde(default)]
    pub tls: Option<ListenTls>,
    /// The longest message, from 480 to 64MiB; of a longer one the rest is cut off, and it counts
    /// as an error.
    #[serde(default = "longest_message")]
    pub max_message_bytes: ByteSize,
    /// For streams: how many clients may be connected; more have to wait.
    #[serde(default = "connection_limit")]
    pub connection_limit: usize,
    /// For streams: hang up on a client that is silent for so long. By default no silence is too
    /// long, since many a sender loses what it says into a connection that was closed meanwhile.
    #[serde(default)]
    pub idle_timeout: Option<Period>,
    /// For unix sockets: who may write to it, as octal permissions in quotes. By default the
    /// process's umask decides.
    #[serde(default)]
    pub socket_mode: Option<String>,
    /// The size of the kernel's receive buffer (`SO_RCVBUF`). A larger one lets UDP survive
    /// longer bursts.
    #[serde(default)]
    pub receive_buffer_bytes: Option<ByteSize>,
    /// For `udp` and `tcp`: put the sender's IP address into this field, beside `message`.
    #[serde(default)]
    pub peer_field: Option<String>,
}

fn longest_message() -> ByteSize {
    ByteSize(128 << 10)
}

fn connection_limit() -> usize {
    1000
}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        let settings = Settings {
            mode: self.mode,
            listen: self.listen.clone(),
            framing: Framing::Lines,
            max_message_bytes: self.max_message_bytes,
            connection_limit: self.connection_limit,
            idle_timeout: self.idle_timeout,
            socket_mode: self.socket_mode.clone(),
            receive_buffer_bytes: self.receive_buffer_bytes,
            tls: self.tls.clone(),
            peer_field: self.peer_field.clone(),
        };
        settings.check()?;
        Ok(Box::new(Listener(settings)))
    }
}

struct Listener(Settings);

#[async_trait]
impl Source for Listener {
    async fn run(self: Box<Self>, out: Output, cx: SourceContext) -> Result<(), Fault> {
        listen::run(&self.0, out, cx).await
    }
}
