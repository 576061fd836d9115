//! The run: reads what journalctl writes, and keeps the cursors.

use super::Config;
use super::cursor::{Store, is_cursor};
use super::export::{Field, Step, entry, value};
use super::marks::{Marks, Meeting, save};
use crate::event::Batch;
use crate::event::ack::SinkSet;
use crate::event::log::{LogBatch, Origin, Verdict};
use crate::host::clock;
use crate::topology::component::Fault;
use crate::topology::context::{Environment, SourceContext};
use crate::topology::held::{Held, Owed};
use crate::topology::memory::{Chunk, Reserve};
use crate::topology::output::Output;
use crate::topology::telemetry::ComponentTelemetry;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::time::{MissedTickBehavior, interval};

/// What may be on its way to the sinks, in bytes. Then reading stops, until some of it is there.
const HELD_BYTES: usize = 16 << 20;
/// How much is read at a time.
const READ_BYTES: usize = 256 << 10;
/// Nothing that journald itself takes is larger.
const LARGEST_ENTRY: usize = 64 << 20;
/// How often the cursor is written down.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How long journalctl has to end.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn run(config: Config, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
    let store = cx.env.keeps_state.then(|| Store::new(&cx.env.data_dir, &cx.name));
    let known = match &store {
        Some(store) => store.load().map_err(|error| fault(store, &error))?,
        None => Vec::new(),
    };
    let (marks, cursor) = Marks::new(known, config.reads_all(), (&cx.env.sinks, out.sinks()));
    let program = config.program(cursor.as_deref(), !cx.env.once);
    let mut journalctl = program.start().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let name = &program.argv[0];
            Fault::passing(format!("there is no `{name}`: has this host systemd's journal?"))
        }
        _ => Fault::passing(format!("run journalctl: {error}")),
    })?;
    let last_words = Arc::new(Mutex::new(String::new()));
    if let Some(pipe) = journalctl.stderr() {
        // Ends with the program.
        tokio::spawn(listen(pipe, Arc::clone(&last_words), cx.telemetry.clone()));
    }
    let Some(mut pipe) = journalctl.stdout() else {
        return Err(Fault::passing("journalctl has no standard output"));
    };
    let mut held = Held::new(out, &mut cx, HELD_BYTES);
    let origin = Origin {
        source: Arc::clone(&cx.name),
        host: Arc::clone(&cx.env.host),
        ..Origin::default()
    };
    let mut reader = Reader {
        origin: Arc::new(origin),
        reserve: cx.env.memory.reserve(),
        telemetry: cx.telemetry.clone(),
        excluded: config.excluded(),
        rest: Vec::new(),
        offset: 0,
    };
    let mut keeper = Keeper { marks, store, env: Arc::clone(&cx.env) };
    let mut saving = interval(SAVE_EVERY);
    saving.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = loop {
        tokio::select! {
            biased;
            () = cx.stop.requested() => break End::Stopped,
            receipt = held.receipt() => held.settle(receipt).await?,
            _ = saving.tick() => keeper.save(&held.owed(), held.sinks()).await?,
            read = reader.read(&mut pipe), if held.has_room() => match read {
                Ok(0) => break End::Itself,
                Ok(_) => match reader.give(&mut held, &mut keeper.marks).await? {
                    Going::On | Going::Further => {}
                    Going::Over(why) => break End::Broken(why),
                }
                Err(error) => break End::Broken(format!("read from journalctl: {error}")),
            },
        }
    };
    let status = match end {
        End::Itself => journalctl.ended().await,
        End::Stopped | End::Broken(_) => journalctl.stop(PATIENCE).await,
    };
    journalctl.let_go();
    let is_well = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    if matches!(end, End::Stopped) || is_well && cx.env.once {
        let sinks = held.sinks();
        return keeper.save(&held.finish().await, sinks).await;
    }
    // What is on its way is waited for, so that nothing of it comes twice.
    held.settle_all(&cx.stop).await?;
    keeper.save(&held.owed(), held.sinks()).await?;
    let why = last_words.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Err(Fault::passing(match (end, status) {
        (End::Broken(what), _) => what,
        (_, Ok(status)) if why.is_empty() => format!("journalctl ended: {status}"),
        (_, Ok(status)) => format!("journalctl ended: {status}: {why}"),
        (_, Err(error)) => format!("journalctl: {error}"),
    }))
}

/// Why nothing more is read.
enum End {
    Itself,
    Stopped,
    Broken(String),
}

enum Going {
    On,
    /// What follows goes to other sinks.
    Further,
    /// journalctl has to be started anew, for this reason.
    Over(String),
}

/// Writes down how far the sinks are.
struct Keeper {
    marks: Marks,
    store: Option<Store>,
    env: Arc<Environment>,
}

impl Keeper {
    async fn save(&mut self, owed: &Owed, sinks: SinkSet) -> Result<(), Fault> {
        let news = self.marks.news(owed, (&self.env.sinks, sinks));
        let (Some(store), Some(known)) = (&self.store, news) else { return Ok(()) };
        save(store, known).await.map_err(|error| fault(store, &error))
    }
}

fn fault(store: &Store, error: &io::Error) -> Fault {
    Fault::passing(format!("the checkpoint `{}`: {error}", store.path().display()))
}

struct Reader {
    origin: Arc<Origin>,
    reserve: Reserve,
    telemetry: ComponentTelemetry,
    excluded: Vec<String>,
    /// What was read and is no whole entry yet.
    rest: Vec<u8>,
    offset: u64,
}

impl Reader {
    async fn read(&mut self, pipe: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.rest.reserve(READ_BYTES);
        pipe.read_buf(&mut self.rest).await
    }

    /// Sends the entries that are whole by now.
    async fn give(&mut self, held: &mut Held, marks: &mut Marks) -> Result<Going, Fault> {
        loop {
            let going = self.give_batch(held, marks).await?;
            if !matches!(going, Going::Further) {
                return Ok(going);
            }
        }
    }

    /// Sends the entries that are whole and go to the same sinks.
    async fn give_batch(&mut self, held: &mut Held, marks: &mut Marks) -> Result<Going, Fault> {
        let (mut at, mut fields) = (0, Vec::new());
        let mut cursor = None;
        let (mut sinks, mut joins) = (held.sinks().without(marks.ahead()), false);
        let going = loop {
            match entry(&self.rest, at, &mut fields) {
                Step::Entry(end) => {
                    let found = value(&self.rest, &fields, "__CURSOR");
                    let text = found.and_then(|found| std::str::from_utf8(found).ok());
                    let meeting = text.and_then(|text| marks.meets(text));
                    if meeting == Some(Meeting::Past) {
                        if at > 0 {
                            joins = true;
                            break Going::Further;
                        }
                        marks.join();
                        sinks = held.sinks().without(marks.ahead());
                        continue;
                    }
                    cursor = found.or(cursor);
                    at = end;
                    if meeting == Some(Meeting::Last) {
                        joins = true;
                        break Going::Further;
                    }
                }
                Step::Unfinished if self.rest.len() - at <= LARGEST_ENTRY => break Going::On,
                Step::Unfinished => {
                    // Its cursor comes first, so that the next journalctl can go on behind it.
                    cursor = value(&self.rest, &fields, "__CURSOR").or(cursor);
                    self.telemetry.dropped("entry too large", 1);
                    break Going::Over("an entry above 64MiB was left out".to_owned());
                }
                Step::Broken => {
                    break Going::Over("journalctl wrote what is not its export format".to_owned());
                }
            }
        };
        let cursor = cursor.and_then(|cursor| std::str::from_utf8(cursor).ok()).map(str::to_owned);
        let cursor = cursor.filter(|cursor| is_cursor(cursor));
        let Some(cursor) = cursor else {
            return Ok(if joins { Going::On } else { going });
        };
        let mut chunk = held.chunk(&self.reserve, at).await?;
        chunk.data.extend_from_slice(&self.rest[..at]);
        self.rest.drain(..at);
        let logs = self.batch(chunk);
        self.offset += at as u64;
        let number = held.send_to(Batch::Logs(logs), sinks, None).await?;
        marks.sent(number, cursor);
        if joins {
            marks.join();
        }
        Ok(going)
    }

    /// The entries of a chunk as records: the line is the message, and the fields are the entry's.
    fn batch(&self, chunk: Chunk) -> LogBatch {
        let chunk = chunk.freeze();
        let (mut at, mut fields) = (0, Vec::new());
        let (mut entries, mut places) = (Vec::new(), Vec::new());
        while let Step::Entry(end) = entry(&chunk, at, &mut fields) {
            if !fields.is_empty() && !self.is_excluded(&chunk, &fields) {
                let is_message = |field: &&Field| chunk.get(field.name.clone()) == Some(b"MESSAGE");
                let message = fields.iter().find(is_message).map(|field| field.value.clone());
                let message = message.unwrap_or(at..at);
                places.push((message.start, message.end));
                entries.push(at..end);
            }
            at = end;
        }
        let mut logs =
            LogBatch::from_lines(&chunk, Arc::clone(&self.origin), self.offset, clock::now_ns());
        logs.keep_lines(places.into_iter());
        let mut entries = entries.into_iter();
        logs.rewrite(|record, writer| {
            let place: Range<usize> = entries.next().unwrap_or(0..0);
            entry(&chunk, place.start, &mut fields);
            for field in &fields {
                let (name, value) = (&chunk[field.name.clone()], &chunk[field.value.clone()]);
                match name {
                    b"MESSAGE" => writer.push("message", record.text_at(value)),
                    b"__CURSOR" => {}
                    // Names of fields are ASCII.
                    _ => {
                        writer
                            .push(std::str::from_utf8(name).unwrap_or("?"), record.text_at(value));
                    }
                }
            }
            if let Some(time) = time_ns(&chunk, &fields) {
                writer.set_time_ns(time);
            }
            Verdict::Touched
        });
        logs
    }

    /// Whether the entry is of a unit that is not wanted, or what systemd says of one.
    fn is_excluded(&self, bytes: &[u8], fields: &[Field]) -> bool {
        if self.excluded.is_empty() {
            return false;
        }
        let is_one = |name: &str| {
            let unit = value(bytes, fields, name);
            unit.is_some_and(|unit| self.excluded.iter().any(|name| name.as_bytes() == unit))
        };
        is_one("_SYSTEMD_UNIT") || is_one("UNIT") && value(bytes, fields, "_PID") == Some(b"1")
    }
}

/// When the entry was made, in nanoseconds; journald counts microseconds.
fn time_ns(bytes: &[u8], fields: &[Field]) -> Option<i64> {
    let time = |name| {
        let text = std::str::from_utf8(value(bytes, fields, name)?).ok()?;
        text.parse::<i64>().ok()?.checked_mul(1000)
    };
    time("_SOURCE_REALTIME_TIMESTAMP").or_else(|| time("__REALTIME_TIMESTAMP"))
}

/// Passes on what journalctl complains of, and remembers the last of it.
async fn listen(
    pipe: impl AsyncRead + Unpin,
    last_words: Arc<Mutex<String>>,
    telemetry: ComponentTelemetry,
) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::warn!(component = telemetry.name(), journalctl = line, "journalctl says");
        *last_words.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}
