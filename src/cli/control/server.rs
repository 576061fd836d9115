//! Answers on the socket, beside the agent's work: a slow client waits for itself alone.

use super::board::{Board, Listed};
use super::socket::{self, SocketFile};
use super::status::status;
use super::tapping::Show;
use super::wire::{Ask, LONGEST_REQUEST_BYTES, Reply, Request, VERSION};
use crate::cli::report;
use crate::event::fault::{Diagnostic, nearest};
use crate::event::task::TaskSet;
use crate::sinks::apply::list::tags;
use crate::topology::context::Environment;
use crate::topology::run::Changes;
use crate::topology::runs::{Part, Progress};
use crate::topology::tap::{Side, Tap};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

/// Clients that are answered at a time; more have to wait.
const MOST_CLIENTS: usize = 16;

/// A client that says nothing for so long, or does not read its reply, is hung up on.
const PATIENCE: Duration = Duration::from_secs(30);

/// After a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What the last replies have at the end.
const LAST_REPLIES: Duration = Duration::from_secs(1);

/// What only the agent itself can do.
pub(in crate::cli) enum Order {
    /// Load the config anew.
    Reload(oneshot::Sender<Result<Changes, Vec<Diagnostic>>>),
    /// Drain within the time given, and end; says whether everything was delivered.
    Drain(Option<Duration>, oneshot::Sender<bool>),
}

/// The agent's end of the socket.
pub(in crate::cli) struct Control {
    orders: mpsc::Receiver<Order>,
    close: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Control {
    /// Listens in the data directory and answers, until [`Self::close`].
    ///
    /// # Errors
    /// Where that cannot be.
    pub(in crate::cli) fn open(env: &Arc<Environment>, board: Arc<Board>) -> io::Result<Self> {
        let (listener, file) = socket::listen(&env.data_dir)?;
        let listener = UnixListener::from_std(listener)?;
        let (orders_in, orders) = mpsc::channel(MOST_CLIENTS);
        let (close, closing) = watch::channel(false);
        let desk = Desk { env: Arc::clone(env), board, orders: orders_in };
        let serving = tokio::spawn(serve(listener, file, Arc::new(desk), closing));
        Ok(Self { orders, close, serving })
    }

    /// Where the agent with this data directory listens.
    pub(in crate::cli) fn place(data_dir: &Path) -> String {
        socket::path(data_dir).display().to_string()
    }

    /// What is to be done next.
    pub(in crate::cli) async fn next(&mut self) -> Order {
        match self.orders.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        }
    }

    /// Hangs up, once the replies that are under way are out.
    pub(in crate::cli) async fn close(self) {
        self.close.send_replace(true);
        // Whoever does not read then is cut off.
        timeout(LAST_REPLIES, self.serving).await.ok();
    }
}

async fn serve(
    listener: UnixListener,
    file: SocketFile,
    desk: Arc<Desk>,
    mut closing: watch::Receiver<bool>,
) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if clients.len() < MOST_CLIENTS => match accepted {
                Ok((stream, _)) => {
                    clients.spawn(Arc::clone(&desk).attend(stream, closing.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the control socket was not accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = clients.join_next() => {}
            _ = closing.changed() => break,
        }
    }
    drop(listener);
    drop(file);
    while clients.join_next().await.is_some() {}
}

/// What replies are made of.
struct Desk {
    env: Arc<Environment>,
    board: Arc<Board>,
    orders: mpsc::Sender<Order>,
}

impl Desk {
    /// Answers one client, request by request. Why it hangs up is its own affair.
    async fn attend(self: Arc<Self>, stream: UnixStream, mut closing: watch::Receiver<bool>) {
        let is_allowed = stream.peer_cred().is_ok_and(|peer| is_allowed(peer.uid()));
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        while !*closing.borrow() {
            let line = tokio::select! {
                line = timeout(PATIENCE, request(&mut reader)) => line,
                _ = closing.changed() => break,
            };
            let reply = match line {
                Ok(Ok(Some(_))) if !is_allowed => {
                    error("only the agent's own user and root may ask")
                }
                Ok(Ok(Some(line))) => match read(&line) {
                    Ok(Ask::Tap { component, input, condition }) => {
                        let side = if input { Side::Input } else { Side::Output };
                        let tap = self.tap(&component, side, condition.as_deref());
                        match tap {
                            Ok((tap, show)) => {
                                tokio::select! {
                                    () = self.show(tap, show, &mut writer) => {}
                                    // Whoever asks for something else has seen enough.
                                    _ = request(&mut reader) => {}
                                    _ = closing.changed() => {}
                                }
                                break;
                            }
                            Err(message) => error(message),
                        }
                    }
                    Ok(ask) => tokio::select! {
                        reply = self.reply(ask) => reply,
                        () = gone(&mut reader) => break,
                    },
                    Err(message) => error(message),
                },
                // Silent for too long, gone, or at its end.
                Err(_) | Ok(Err(_) | Ok(None)) => break,
            };
            if !self.send(&reply, &mut writer).await {
                break;
            }
        }
    }

    /// Whether the client has taken it.
    async fn send(&self, reply: &Reply, writer: &mut OwnedWriteHalf) -> bool {
        let Ok(mut line) = serde_json::to_string(reply) else { return false };
        line.push('\n');
        let line = self.env.masker.mask(&line);
        matches!(timeout(PATIENCE, writer.write_all(line.as_bytes())).await, Ok(Ok(())))
    }

    fn tap(&self, name: &str, side: Side, condition: Option<&str>) -> Result<(Tap, Show), String> {
        let known = self.board.read();
        let names = known.components.iter().map(|listed| listed.name.as_str());
        if !names.clone().any(|known| known == name) {
            let near = nearest(name, names).map(|near| format!("; did you mean `{near}`?"));
            let near = near.unwrap_or_else(|| "; `driftless status` lists them".to_owned());
            return Err(format!("there is no component `{name}`{near}"));
        }
        let (show, listed) = (Show::new(condition, &self.env)?, known.components.iter());
        let is_sink = |listed: &Listed| listed.name == name && listed.role == "sink";
        let side = if listed.clone().any(is_sink) { Side::Input } else { side };
        Ok((self.env.telemetry.taps().put_on(&name.into(), side), show))
    }

    async fn show(&self, mut tap: Tap, mut show: Show, writer: &mut OwnedWriteHalf) {
        loop {
            let (batch, unseen) = tap.next().await;
            let (lines, left_out) = show.lines(batch);
            let missed = (unseen > 0).then_some(Reply::Missed { records: unseen });
            let records = lines.into_iter().map(|line| Reply::Record { line });
            let more = (left_out > 0).then_some(Reply::Missed { records: left_out });
            for reply in missed.into_iter().chain(records).chain(more) {
                if !self.send(&reply, writer).await {
                    return;
                }
            }
        }
    }

    async fn reply(&self, ask: Ask) -> Reply {
        match ask {
            Ask::Status => {
                let (env, board) = (Arc::clone(&self.env), Arc::clone(&self.board));
                match spawn_blocking(move || status(&env, &board)).await {
                    Ok(status) => Reply::Status(Box::new(status)),
                    Err(_) => error(ENDING),
                }
            }
            Ask::Reload => match self.order(Order::Reload).await {
                Some(Ok(Changes { kept, started, stopped })) => {
                    Reply::Taken { kept, started, stopped }
                }
                Some(Err(complaints)) => self.refused(&complaints),
                None => error(ENDING),
            },
            // It has no end, and so no reply.
            Ask::Tap { .. } => error("a tap comes by itself"),
            Ask::ApplyNow { wait, tags, skip_tags } => {
                if !self.board.read().applies() {
                    error("nothing is applied here: the config has no apply file")
                } else if tags.is_empty() && skip_tags.is_empty() {
                    self.apply_now(wait).await
                } else {
                    self.apply_part(wait, tags, skip_tags).await
                }
            }
            Ask::Drain { timeout_seconds } => {
                let timeout = timeout_seconds.map(Duration::try_from_secs_f64).transpose();
                let Ok(timeout) = timeout else {
                    return error("`timeout_seconds` is no length of time");
                };
                match self.order(|answer| Order::Drain(timeout, answer)).await {
                    Some(delivered) => Reply::Drained { delivered },
                    None => error(ENDING),
                }
            }
        }
    }

    /// Has the agent do something, and waits for what comes of it; nothing where it ends first.
    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (answer_in, answer) = oneshot::channel();
        self.orders.send(order(answer_in)).await.ok()?;
        answer.await.ok()
    }

    async fn apply_now(&self, wait: bool) -> Reply {
        let mut progress = self.env.runs.watch();
        let number = self.env.runs.ask();
        if !wait {
            return Reply::Accepted;
        }
        let is_over = |progress: &Progress| progress.answered >= number || progress.ended;
        match progress.wait_for(is_over).await {
            Ok(progress) if progress.answered >= number => {
                Reply::Ran(progress.last.as_deref().cloned().unwrap_or_default())
            }
            // A reload has taken the desired state away.
            Ok(_) => error(APPLIED_NO_MORE),
            Err(_) => error(ENDING),
        }
    }

    async fn apply_part(&self, wait: bool, tags: Vec<String>, skip_tags: Vec<String>) -> Reply {
        let set = self.env.tasks.borrow().clone();
        if let Some(message) = set.and_then(|set| matches_nothing(&set, &tags)) {
            return error(message);
        }
        let (answer, answered) = oneshot::channel();
        match self.env.runs.ask_part(Part { tags, skip_tags, answer }) {
            Err(_) => error("so many runs were asked for that no more can wait"),
            Ok(()) if !wait => Reply::Accepted,
            Ok(()) => answered.await.map_or_else(|_| error(APPLIED_NO_MORE), Reply::Ran),
        }
    }

    fn refused(&self, complaints: &[Diagnostic]) -> Reply {
        let complaints = &report::masked(complaints, &self.env.masker);
        let (mut text, mut json) = (Vec::new(), Vec::new());
        // Writing to memory cannot fail.
        report::write_text(&mut text, complaints, report::Colour::Never).ok();
        report::write_json(&mut json, complaints).ok();
        Reply::Refused {
            text: String::from_utf8_lossy(&text).into_owned(),
            complaints: serde_json::from_slice(&json).unwrap_or_default(),
        }
    }
}

const ENDING: &str = "the agent ends";
const APPLIED_NO_MORE: &str = "the desired state is applied no more";

/// Why no task runs for one of these tags, where none has any of them.
fn matches_nothing(set: &TaskSet, wanted: &[String]) -> Option<String> {
    let known = tags(set);
    let is_known = |tag: &String| SETS_OF_TASKS.contains(&&**tag) || known.contains(tag);
    if wanted.is_empty() || wanted.iter().any(is_known) {
        return None;
    }
    let wanted = wanted.join(", ");
    let known: Vec<String> = known.into_iter().collect();
    Some(match known.join(", ") {
        known if known.is_empty() => format!("no task is tagged {wanted}: there are no tags"),
        known => format!("no task is tagged {wanted}; the tags are {known}"),
    })
}

/// Words for tags that stand for sets of tasks.
const SETS_OF_TASKS: [&str; 5] = ["all", "tagged", "untagged", "always", "never"];

fn error(message: impl Into<String>) -> Reply {
    Reply::Error { message: message.into() }
}

fn is_allowed(user: u32) -> bool {
    user == 0 || user == nix::unistd::geteuid().as_raw()
}

/// Returns once the client has hung up. What it asks meanwhile waits for its turn.
async fn gone(reader: &mut BufReader<OwnedReadHalf>) {
    let more = reader.fill_buf().await;
    if more.is_ok_and(|more| !more.is_empty()) {
        std::future::pending::<()>().await;
    }
}

/// The next request; `None` at the client's end.
async fn request(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.take(LONGEST_REQUEST_BYTES).read_until(b'\n', &mut line).await?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn read(line: &[u8]) -> Result<Ask, String> {
    let Request { version, ask } =
        serde_json::from_slice(line).map_err(|error| format!("not a request: {error}"))?;
    if version != VERSION {
        return Err(format!(
            "this agent speaks version {VERSION} on its socket, not {version}: use the program of \
             the same version ({})",
            env!("CARGO_PKG_VERSION")
        ));
    }
    serde_json::from_value(ask).map_err(|error| format!("not a request: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_another_version_is_told_so_and_nonsense_too() {
        assert_eq!(read(br#"{"version": 1, "ask": "status"}"#), Ok(Ask::Status));
        let drain = br#"{"version": 1, "ask": {"drain": {"timeout_seconds": 2.5}}}"#;
        assert_eq!(read(drain), Ok(Ask::Drain { timeout_seconds: Some(2.5) }));
        let told = read(br#"{"version": 2, "ask": {"new": {}}}"#).unwrap_err();
        assert!(told.contains("version 1"), "{told}");
        for nonsense in ["", "status", "{}", r#"{"version": 1, "ask": "stat"}"#, "[[[[["] {
            assert!(read(nonsense.as_bytes()).unwrap_err().starts_with("not a request"));
        }
    }
}
