//! Asks a running agent.

use super::socket;
use super::wire::{Ask, Reply, Request, VERSION};
use crate::cli::Exit;
use crate::cli::session::{Session, data_dir};
use crate::cli::shell::{Output, Shell};
use crate::config::discover::{FileKind, discover};
use crate::config::load::Config;
use crate::event::fault::Diagnostic;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Which agent is meant.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct At {
    /// The agent's config, whose `data_dir` has its socket: a directory or a file; may be given
    /// again. The installed one where none is given.
    #[arg(long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// The agent's data directory, without a look at its config.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
}

/// Why there is no reply.
#[derive(Debug)]
pub(in crate::cli) enum Lost {
    /// No agent listens there.
    NotRunning(PathBuf),
    /// Something else is wrong.
    Failed(String),
}

/// A conversation with an agent.
pub(in crate::cli) struct Questions {
    stream: BufReader<UnixStream>,
    place: PathBuf,
}

impl At {
    /// Where the agent keeps its state. A config that is wrong does not hide that: the agent may
    /// well run with an older one. No secret is needed for it, so nobody is asked for one: the
    /// place that tells them may be what is broken.
    pub(in crate::cli) fn data_dir(&self) -> PathBuf {
        if let Some(data_dir) = &self.data_dir {
            return data_dir.clone();
        }
        let session = Session::new(&self.config);
        match session.load_without_secrets() {
            Ok(config) => data_dir(&config.agent),
            Err(_) => session
                .paths()
                .iter()
                .find_map(|path| named_in(path))
                .unwrap_or_else(|| data_dir(&crate::config::files::AgentFile::default())),
        }
    }

    /// The agent's config, or what is wrong with it.
    ///
    /// # Errors
    /// One line for each complaint.
    pub(in crate::cli) fn load(&self, shell: &Shell) -> Result<Config, Vec<String>> {
        let loaded = Session::new(&self.config).load(&shell.masker);
        loaded.map_err(|complaints| {
            let complaints = complaints.iter().map(ToString::to_string);
            complaints.map(|it| shell.masker.mask(&it).into_owned()).collect()
        })
    }

    /// Begins a conversation.
    ///
    /// # Errors
    /// Where nobody listens, or whoever asks may not.
    pub(in crate::cli) fn connect(&self) -> Result<Questions, Lost> {
        let place = socket::path(&self.data_dir());
        match socket::connect(&place) {
            Ok(stream) => Ok(Questions { stream: BufReader::new(stream), place }),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    Lost::NotRunning(place)
                }
                io::ErrorKind::PermissionDenied => Lost::Failed(format!(
                    "`{}`: only the user that the agent runs as, and root, may ask it",
                    place.display()
                )),
                _ => Lost::Failed(format!("`{}`: {error}", place.display())),
            }),
        }
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// As [`Self::connect`] and [`Questions::next`].
    pub(in crate::cli) fn ask(&self, ask: &Ask) -> Result<Reply, Lost> {
        let mut questions = self.connect()?;
        questions.ask(ask)?;
        questions.next()
    }
}

/// The `data_dir` that an agent's file below `path` names, whatever else is wrong there.
fn named_in(path: &Path) -> Option<PathBuf> {
    let found = discover(path).found.into_iter();
    let mut files = found.filter(|file| file.kind == FileKind::Agent);
    files.find_map(|file| file.node.get("data_dir")?.scalar_text().map(PathBuf::from))
}

impl Questions {
    /// Asks.
    ///
    /// # Errors
    /// Where the agent has hung up.
    pub(in crate::cli) fn ask(&mut self, ask: &Ask) -> Result<(), Lost> {
        let ask = serde_json::to_value(ask).map_err(|error| self.lost(&error.to_string()))?;
        let request = serde_json::to_string(&Request { version: VERSION, ask });
        let request = request.map_err(|error| self.lost(&error.to_string()))? + "\n";
        let sent = self.stream.get_mut().write_all(request.as_bytes());
        sent.map_err(|error| self.lost(&error.to_string()))
    }

    /// The next line of the reply.
    ///
    /// # Errors
    /// Where the agent has hung up, or says that it cannot do what is asked.
    pub(in crate::cli) fn next(&mut self) -> Result<Reply, Lost> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        if read.map_err(|error| self.lost(&error.to_string()))? == 0 {
            return Err(self.lost("the agent has hung up"));
        }
        match serde_json::from_str(&line) {
            Ok(Reply::Error { message }) => Err(Lost::Failed(message)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.lost(&format!("that is no reply: {error}"))),
        }
    }

    fn lost(&self, why: &str) -> Lost {
        Lost::Failed(format!("`{}`: {why}", self.place.display()))
    }
}

impl Lost {
    /// The agent has answered something else than what it was asked.
    pub(in crate::cli) fn unlike(reply: &Reply) -> Self {
        Self::Failed(format!("the agent answers something else: {reply:?}"))
    }
}

/// Says why there is no reply. Exit code 2 where no agent runs.
pub(in crate::cli) fn complain(lost: &Lost, output: Output, shell: &mut Shell) -> Exit {
    match lost {
        Lost::NotRunning(place) => {
            let message = format!("no agent runs here: nobody listens on `{}`", place.display());
            let hint = "`--config` or `--data-dir` says which agent is meant; `driftless agent` \
                        starts one";
            let complaint = Diagnostic::new(message, None).hint(hint);
            match shell.complain(&[complaint], output) {
                Exit::Failed => Exit::Pending,
                other => other,
            }
        }
        Lost::Failed(message) => shell.complain(&[Diagnostic::new(message, None)], output),
    }
}
