//! Standard output and standard error, with secrets masked: the only way to either.

use super::Exit;
use super::log_limit::LogLimit;
use super::report::{self, Colour};
use crate::event::fault::Diagnostic;
use crate::event::secret::{Masker, MaskingWriter, Secrets};
use crate::topology::own_log::OwnLog;
use clap::ValueEnum;
use std::io::{self, Stderr, Stdout, Write};
use std::sync::Mutex;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Whom results are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// People.
    #[default]
    Text,
    /// Machines.
    Json,
}

/// How much the agent says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// How it happens.
    Debug,
    /// All there is.
    Trace,
}

/// How the agent says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The two streams.
pub(super) struct Shell {
    /// Knows the secrets as soon as the config is read.
    pub(super) masker: Masker,
    pub(super) out: MaskingWriter<Stdout>,
    pub(super) err: MaskingWriter<Stderr>,
    /// What the agent says of itself, for a source that sends it on.
    pub(super) own_log: OwnLog,
    /// Keeps it from saying the same again and again.
    pub(super) log_limit: LogLimit,
}

impl Shell {
    pub(super) fn new() -> Self {
        let masker = Masker::new(&Secrets::default());
        Self {
            out: MaskingWriter::new(io::stdout(), masker.clone()),
            err: MaskingWriter::new(io::stderr(), masker.clone()),
            own_log: OwnLog::new(masker.clone()),
            log_limit: LogLimit::default(),
            masker,
        }
    }

    /// From here on `tracing` writes to standard error, masked, and the same warning only once in a
    /// while. A panic is logged too, since its
    /// component will be restarted.
    pub(super) fn start_logging(&self, level: LogLevel, format: LogFormat) {
        let level = match level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        };
        let writer = Mutex::new(MaskingWriter::new(io::stderr(), self.masker.clone()));
        let builder = tracing_subscriber::fmt().with_max_level(level).with_target(false);
        let colour = Colour::choose(&io::stderr(), std::env::var("NO_COLOR").ok().as_deref());
        let (own, limit) = (self.own_log.clone(), self.log_limit.layer());
        // A subscriber that is set already (by a test) stays.
        match format {
            LogFormat::Text => {
                let ansi = colour == Colour::Always;
                let builder = builder.with_ansi(ansi).with_writer(writer);
                builder.finish().with(own.layer()).with(limit).try_init().ok();
            }
            LogFormat::Json => {
                let builder = builder.json().flatten_event(true).with_writer(writer);
                builder.finish().with(own.layer()).with(limit).try_init().ok();
            }
        }
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(place, "panic");
        }));
    }

    /// Prints complaints: for people on standard error, for machines on standard output.
    pub(super) fn complain(&mut self, complaints: &[Diagnostic], output: Output) -> Exit {
        let complaints = &report::masked(complaints, &self.masker);
        let no_color = std::env::var("NO_COLOR").ok();
        let written = match output {
            Output::Text => {
                let colour = Colour::choose(&io::stderr(), no_color.as_deref());
                report::write_text(&mut self.err, complaints, colour)
                    .and_then(|()| self.err.flush())
            }
            Output::Json => {
                report::write_json(&mut self.out, complaints).and_then(|()| self.out.flush())
            }
        };
        self.end(written, Exit::Failed)
    }

    /// Prints what is worth knowing and no fault: for people on standard error, for machines on
    /// standard output, a list in any case.
    pub(super) fn note(&mut self, notes: &[Diagnostic], output: Output) -> Exit {
        let notes = &report::masked(notes, &self.masker);
        let no_color = std::env::var("NO_COLOR").ok();
        let written = match output {
            Output::Text => {
                let colour = Colour::choose(&io::stderr(), no_color.as_deref());
                report::write_notes(&mut self.err, notes, colour).and_then(|()| self.err.flush())
            }
            Output::Json => {
                report::write_json_notes(&mut self.out, notes).and_then(|()| self.out.flush())
            }
        };
        self.end(written, Exit::Success)
    }

    /// Prints a result.
    pub(super) fn print(&mut self, text: &str) -> Exit {
        let written = self.show(text);
        self.end(written, Exit::Success)
    }

    /// Prints a result for machines.
    pub(super) fn print_json(&mut self, result: &impl serde::Serialize) -> Exit {
        match serde_json::to_string_pretty(result) {
            Ok(json) => self.print(&(json + "\n")),
            Err(error) => self.fail(&error.to_string()),
        }
    }

    /// Says something that is no result, for people.
    pub(super) fn tell(&mut self, text: &str) {
        // Where nobody listens, nothing is lost.
        self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()).ok();
    }

    /// Prints a part of a result, after which more may follow.
    pub(super) fn show(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush())
    }

    /// Prints what went wrong outside any file.
    pub(super) fn fail(&mut self, message: &str) -> Exit {
        self.complain(&[Diagnostic::new(message, None)], Output::Text)
    }

    /// Help and version go to standard output and are no failure; anything else is.
    pub(super) fn usage(&mut self, error: &clap::Error) -> Exit {
        let text = error.render();
        if error.use_stderr() {
            let written = write!(self.err, "{text}").and_then(|()| self.err.flush());
            self.end(written, Exit::Usage)
        } else {
            self.print(&text.to_string())
        }
    }

    /// A reader that has gone (`| head`) has all that it wanted.
    pub(super) fn end(&self, written: io::Result<()>, exit: Exit) -> Exit {
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
            _ => exit,
        }
    }
}
