//! The runs of the program, and the way from its pipes into the topology.

use super::{Exec, INTERVAL, Mode, ReportExit, TIMEOUT};
use crate::event::Batch;
use crate::event::log::{LogBatch, Origin, Value, Verdict};
use crate::host::clock;
use crate::net::listen::{Cutter, Framing, Messages};
use crate::topology::component::Fault;
use crate::topology::context::SourceContext;
use crate::topology::held::Held;
use crate::topology::output::Output;
use crate::topology::telemetry::ComponentTelemetry;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// What may be on its way to the sinks, in bytes. Then reading stops, until some of it is there.
const HELD_BYTES: usize = 16 << 20;
/// How much is read at a time.
const READ_BYTES: usize = 64 << 10;
/// What a program left behind may go on writing for so long after its end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the program wrote, or how it ended.
struct Said {
    stream: &'static str,
    messages: Messages,
    code: Option<i64>,
}

/// How a run came to its end.
enum End {
    Itself(io::Result<ExitStatus>),
    TimedOut,
    Stopped,
}

pub(super) async fn run(exec: Exec, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
    let mut held = Held::new(out, &mut cx, HELD_BYTES);
    let (say, mut said) = mpsc::channel(4);
    let (close, closing) = watch::channel(false);
    let (telemetry, once) = (cx.telemetry.clone(), cx.env.once);
    // Ended with this run of the source, in whatever way that ends.
    let mut runner = JoinSet::new();
    runner.spawn(async move { Runner { exec, say, telemetry, closing }.repeat(once).await });
    let origin = Origin {
        source: Arc::clone(&cx.name),
        host: Arc::clone(&cx.env.host),
        ..Origin::default()
    };
    let (origin, reserve, mut offset) = (Arc::new(origin), cx.env.memory.reserve(), 0);
    loop {
        tokio::select! {
            biased;
            () = cx.stop.requested(), if !*close.borrow() => { close.send_replace(true); }
            receipt = held.receipt() => held.settle(receipt).await?,
            next = said.recv(), if held.has_room() => {
                let Some(Said { stream, messages, code }) = next else { break };
                if messages.cut > 0 {
                    cx.telemetry.errors(messages.cut);
                    let lines = messages.cut;
                    tracing::warn!(component = &*cx.name, lines, "too long, cut short");
                }
                if messages.left_out > 0 {
                    cx.telemetry.dropped("line_too_long", messages.left_out);
                }
                if messages.is_empty() {
                    continue;
                }
                let mut chunk = held.chunk(&reserve, messages.data.len()).await?;
                chunk.data.extend_from_slice(&messages.data);
                let (chunk, now) = (chunk.freeze(), clock::now_ns());
                let mut logs = LogBatch::from_lines(&chunk, Arc::clone(&origin), offset, now);
                offset += chunk.len() as u64;
                if messages.broken_lines {
                    let mut places = Vec::new();
                    messages.places(0, &mut places);
                    logs.keep_lines(places.into_iter());
                }
                logs.rewrite(|record, writer| {
                    writer.push("message", record.text_at(record.message()));
                    writer.push_text("stream", stream.as_bytes());
                    if let Some(code) = code {
                        writer.push("exit_code", Value::Int(code));
                    }
                    Verdict::Touched
                });
                held.send(Batch::Logs(logs), None).await?;
            }
        }
    }
    let ended = runner.join_next().await.unwrap_or(Ok(Ok(())));
    match ended {
        Ok(Ok(())) => {
            held.finish().await;
            Ok(())
        }
        // There will be another run, and what is on its way is held for this one.
        Ok(Err(fault)) => held.settle_all(&cx.stop).await.and(Err(fault)),
        Err(error) => Err(Fault::passing(format!("a bug in its runner: {error}"))),
    }
}

struct Runner {
    exec: Exec,
    say: mpsc::Sender<Said>,
    telemetry: ComponentTelemetry,
    closing: watch::Receiver<bool>,
}

impl Runner {
    /// Runs the program again and again, or once.
    async fn repeat(mut self, once: bool) -> Result<(), Fault> {
        let config = &self.exec.config;
        let (mode, restart) = (config.mode, config.restart);
        let interval = config.interval.map_or(INTERVAL, |period| period.0);
        let mut pause = restart.initial.0;
        loop {
            let started = Instant::now();
            self.once().await?;
            if once {
                return Ok(());
            }
            let next = match mode {
                Mode::Interval => interval.saturating_sub(started.elapsed()),
                Mode::LongRunning => {
                    if started.elapsed() > restart.max.0 {
                        pause = restart.initial.0;
                    }
                    let next = pause;
                    pause = (pause * 2).min(restart.max.0);
                    next
                }
            };
            tokio::select! {
                () = sleep(next) => {}
                _ = self.closing.wait_for(|closing| *closing) => return Ok(()),
            }
        }
    }

    /// One run. That the program fails is no failure of the source; that it cannot be started is.
    async fn once(&mut self) -> Result<(), Fault> {
        let program = &self.exec.program;
        let mut running = program.start().map_err(|error| {
            let name = program.argv.first().map_or("", |name| name);
            match (&program.directory, error.kind()) {
                (Some(directory), io::ErrorKind::NotFound) => Fault::passing(format!(
                    "there is no program `{name}`, or no directory `{}`",
                    directory.display()
                )),
                (None, io::ErrorKind::NotFound) => {
                    Fault::passing(format!("there is no program `{name}`"))
                }
                _ => Fault::passing(format!("run `{name}`: {error}")),
            }
        })?;
        let framing = Framing::Lines(Arc::clone(&self.exec.text));
        let mut readers = JoinSet::new();
        if let Some(pipe) = running.stdout() {
            readers.spawn(read(pipe, "stdout", framing.clone(), self.say.clone()));
        }
        if let Some(pipe) = running.stderr() {
            readers.spawn(read(pipe, "stderr", framing, self.say.clone()));
        }
        let limit = match self.exec.config.mode {
            Mode::Interval => Some(self.exec.config.timeout.map_or(TIMEOUT, |period| period.0)),
            Mode::LongRunning => None,
        };
        let end = tokio::select! {
            status = running.ended() => End::Itself(status),
            () = expired(limit) => End::TimedOut,
            _ = self.closing.wait_for(|closing| *closing) => End::Stopped,
        };
        let status = match end {
            End::Itself(status) => status,
            End::TimedOut | End::Stopped => {
                if matches!(end, End::TimedOut) {
                    self.telemetry.errors(1);
                    let command = &self.exec.program.argv[0];
                    tracing::warn!(
                        component = self.telemetry.name(),
                        command,
                        "took longer than `timeout`, and is ended"
                    );
                }
                let patience = self.exec.config.stop_timeout.0;
                running.stop(patience).await
            }
        };
        let all_read = async { while readers.join_next().await.is_some() {} };
        if timeout(LAST_WORDS, all_read).await.is_err() && self.is_held_open(&mut readers).await {
            // What it left behind holds the pipes open, and is ended with this run.
            running.stop(Duration::ZERO).await.ok();
            // The pipes' ends bring what the readers still have.
            let all_read = async { while readers.join_next().await.is_some() {} };
            timeout(LAST_WORDS, all_read).await.ok();
        } else {
            running.let_go();
        }
        self.report(status).await;
        Ok(())
    }

    /// Whether the pipes are open because somebody else has them, and not because the sinks are
    /// behind; those are waited for.
    async fn is_held_open(&self, readers: &mut JoinSet<()>) -> bool {
        while !readers.is_empty() {
            if self.say.capacity() > 0 {
                let one_ended = timeout(LAST_WORDS, readers.join_next()).await;
                if one_ended.is_err() && self.say.capacity() > 0 {
                    return true;
                }
            } else {
                sleep(Duration::from_millis(50)).await;
            }
        }
        false
    }

    async fn report(&self, status: io::Result<ExitStatus>) {
        let Ok(status) = status else { return };
        let is_wanted = match self.exec.config.report_exit {
            ReportExit::Always => true,
            ReportExit::Failures => !status.success(),
            ReportExit::Never => false,
        };
        // What was told to end did as it was told.
        if !is_wanted || *self.closing.borrow() {
            return;
        }
        let (words, code) = match (status.code(), status.signal()) {
            (None, Some(signal)) => (format!("ended by signal {signal}"), -signal),
            (code, _) => (format!("exit status {}", code.unwrap_or(-1)), code.unwrap_or(-1)),
        };
        let mut messages = Messages::default();
        messages.push(words.as_bytes());
        let said = Said { stream: "exit", messages, code: Some(code.into()) };
        // Where nobody listens any more, nobody wants to know.
        self.say.send(said).await.ok();
    }
}

async fn expired(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Reads a pipe to its end.
async fn read(
    mut pipe: impl AsyncRead + Unpin,
    stream: &'static str,
    framing: Framing,
    say: mpsc::Sender<Said>,
) {
    let mut cutter = Cutter::new(&framing, 0);
    let mut is_waiting = false;
    loop {
        let patience = cutter.patience().filter(|_| is_waiting);
        let mut room = cutter.room(READ_BYTES);
        let next = pipe.read_buf(&mut room);
        let read = match patience {
            Some(patience) => timeout(patience, next).await.ok(),
            None => Some(next.await),
        };
        let mut messages = Messages::default();
        // A pipe that cannot be read any more has ended.
        let is_over = matches!(read, Some(Ok(0) | Err(_)));
        is_waiting = read.is_some();
        match read {
            None => cutter.release(&mut messages),
            Some(_) if is_over => cutter.end(&mut messages),
            Some(_) => cutter.cut(&mut messages),
        }
        let is_nothing = messages.is_empty() && messages.left_out == 0;
        if !is_nothing && say.send(Said { stream, messages, code: None }).await.is_err() || is_over
        {
            return;
        }
    }
}
