//! Listeners for messages: sockets of all kinds, and the way from them into the topology.

mod cutter;
mod datagram;
mod frames;
mod gather;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod socket;
mod stream;

pub use cutter::{Cutter, Framing};
pub use frames::Messages;
pub use gather::run;
pub use stream::handshake;

use crate::event::log::stream::{OnLongLine, Text};
use crate::net::tls::ListenTls;
use crate::topology::component::Fault;
use crate::topology::settings::{ByteSize, Period};
use crate::topology::{multiline, text};
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What kind of socket to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// UDP. What comes while the kernel's buffer is full is lost; how much that was is counted as
    /// dropped, with the reason `kernel buffer full`.
    Udp,
    /// TCP.
    Tcp,
    /// A unix socket for datagrams, as `/dev/log` is one.
    Unix,
    /// A unix socket for streams.
    UnixStream,
}

/// How to listen: the settings of every source that listens for messages.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Settings {
    /// What kind of socket to listen on.
    pub mode: Mode,
    /// Where to listen: address and port for `udp` and `tcp`, else the path of the socket. A
    /// socket that a dead process has left there is replaced.
    pub listen: String,
    /// For `tcp`: speak TLS.
    #[serde(default)]
    pub tls: Option<ListenTls>,
    /// The longest message, from 480 to 64MiB; of a longer one the rest is cut off, and it counts
    /// as an error. What happens to lines of `socket` says `on_long_line`.
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
    /// For `socket`: how text is written, as for the `file` source: `utf-8`, `utf-16le`, `latin1`,
    /// or another label of the WHATWG's Encoding Standard. Default: `utf-8`.
    #[serde(default)]
    pub encoding: Option<String>,
    /// For streams of `socket`: what ends a line. Default: a line feed, and a carriage return
    /// before it is no part of the message.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// For streams of `socket`: what happens to a line above `max_message_bytes`. Default: `split`.
    #[serde(default)]
    pub on_long_line: Option<OnLongLine>,
    /// For streams of `socket`: joins lines that belong together, on each connection by itself.
    /// Default: each line is a record.
    #[serde(default)]
    pub multiline: Option<multiline::Config>,
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

/// Where to listen.
#[derive(Clone, Debug)]
enum Place {
    Net(SocketAddr),
    Path(PathBuf, Option<u32>),
}

impl Settings {
    /// Checks what no type can.
    ///
    /// # Errors
    /// What is wrong, in a user's words.
    pub fn check(&self) -> Result<(), Fault> {
        self.place().map_err(Fault::fatal)?;
        if !(480..=64 << 20).contains(&self.max_message_bytes.0) {
            let found = self.max_message_bytes;
            let message = format!("`max_message_bytes` is {found}; it can be from 480 to 64MiB");
            return Err(Fault::fatal(message));
        }
        if self.connection_limit == 0 {
            return Err(Fault::fatal("`connection_limit` is 0; nobody could connect"));
        }
        if self.idle_timeout.is_some() && !self.is_stream() {
            return Err(Fault::fatal("`idle_timeout` is for `tcp` and `unix_stream`"));
        }
        if let Some(tls) = &self.tls {
            if self.mode != Mode::Tcp {
                return Err(Fault::fatal("`tls` is for `tcp`"));
            }
            tls.acceptor().map_err(Fault::fatal)?;
        }
        if self.peer_field.as_ref().is_some_and(String::is_empty) {
            return Err(Fault::fatal("`peer_field` is empty; a field needs a name"));
        }
        Ok(())
    }

    fn is_stream(&self) -> bool {
        matches!(self.mode, Mode::Tcp | Mode::UnixStream)
    }

    /// How lines are told apart and read.
    ///
    /// # Errors
    /// What is wrong, in a user's words.
    pub fn text(&self) -> Result<Framing, Fault> {
        let on_streams = "is for `tcp` and `unix_stream`: a datagram is a record";
        if let Some(name) = self.text_settings().filter(|_| !self.is_stream()) {
            return Err(Fault::fatal(format!("`{name}` {on_streams}")));
        }
        let encoding = self.encoding.clone().unwrap_or_else(text::utf_8);
        let (delimiter, multiline) = (self.delimiter.as_deref(), self.multiline.as_ref());
        let long = (self.max_message_bytes, self.on_long_line.unwrap_or_default());
        let text: Text = text::text(&encoding, delimiter, multiline, long).map_err(Fault::fatal)?;
        Ok(Framing::Lines(Arc::new(text)))
    }

    /// Refuses what only [`Self::text`] makes use of.
    ///
    /// # Errors
    /// What is wrong, in a user's words.
    pub fn no_text(&self) -> Result<(), Fault> {
        let encoding = self.encoding.as_ref().map(|_| "encoding");
        match encoding.or_else(|| self.text_settings()) {
            Some(name) => Err(Fault::fatal(format!(
                "`{name}` is for the source `socket`: a message of syslog says itself where it ends"
            ))),
            None => Ok(()),
        }
    }

    /// The first setting here that says where records end in a text.
    fn text_settings(&self) -> Option<&'static str> {
        let given = [
            ("delimiter", self.delimiter.is_some()),
            ("on_long_line", self.on_long_line.is_some()),
            ("multiline", self.multiline.is_some()),
        ];
        given.into_iter().find_map(|(name, is_given)| is_given.then_some(name))
    }

    fn place(&self) -> Result<Place, String> {
        let listen = &self.listen;
        if matches!(self.mode, Mode::Udp | Mode::Tcp) {
            if self.socket_mode.is_some() {
                return Err("`socket_mode` is for unix sockets".to_owned());
            }
            return listen.parse().map(Place::Net).map_err(|_| {
                format!(
                    "`listen` is `{listen}`, expected an address with a port such as `0.0.0.0:514`"
                )
            });
        }
        if !listen.starts_with('/') {
            return Err(format!("`listen` is `{listen}`, expected a path such as `/run/app.sock`"));
        }
        let mode = self.socket_mode.as_deref().map(|text| {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
            mode.ok_or_else(|| {
                format!("`socket_mode` is `{text}`, expected permissions such as \"0660\"")
            })
        });
        Ok(Place::Path(listen.into(), mode.transpose()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(mode: Mode, listen: &str) -> Settings {
        Settings {
            mode,
            listen: listen.to_owned(),
            max_message_bytes: ByteSize(1024),
            connection_limit: 1,
            idle_timeout: None,
            socket_mode: None,
            receive_buffer_bytes: None,
            tls: None,
            peer_field: None,
            encoding: None,
            delimiter: None,
            on_long_line: None,
            multiline: None,
        }
    }

    #[test]
    fn what_cannot_be_listened_on_is_refused_in_the_files_own_words() {
        let told = |settings: Settings| settings.check().unwrap_err().message;
        insta::assert_snapshot!(
            told(settings(Mode::Udp, "514")),
            @"`listen` is `514`, expected an address with a port such as `0.0.0.0:514`"
        );
        insta::assert_snapshot!(
            told(settings(Mode::Unix, "app.sock")),
            @"`listen` is `app.sock`, expected a path such as `/run/app.sock`"
        );
        let unix = || settings(Mode::UnixStream, "/run/app.sock");
        insta::assert_snapshot!(
            told(Settings { socket_mode: Some("rw".into()), ..unix() }),
            @r#"`socket_mode` is `rw`, expected permissions such as "0660""#
        );
        insta::assert_snapshot!(
            told(Settings { max_message_bytes: ByteSize(10), ..unix() }),
            @"`max_message_bytes` is 10; it can be from 480 to 64MiB"
        );
        let mut tcp = settings(Mode::Tcp, "[::1]:0");
        assert!(tcp.check().is_ok() && unix().check().is_ok());
        tcp.socket_mode = Some("0600".into());
        insta::assert_snapshot!(told(tcp), @"`socket_mode` is for unix sockets");
        let on_long_line = Some(OnLongLine::Skip);
        let udp = Settings { on_long_line, ..settings(Mode::Udp, "[::1]:0") };
        insta::assert_snapshot!(
            udp.text().unwrap_err().message,
            @"`on_long_line` is for `tcp` and `unix_stream`: a datagram is a record"
        );
        insta::assert_snapshot!(
            Settings { encoding: Some("latin1".into()), ..unix() }.no_text().unwrap_err().message,
            @"`encoding` is for the source `socket`: a message of syslog says itself where it ends"
        );
    }
}
