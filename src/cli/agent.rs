//! `driftless agent`: runs everything that the config says, until told to stop.

mod revisions;

use super::Exit;
use super::control::{Board, Control, Load, Order, only_agent};
use super::follow::{Follow, Start, log_notes, log_refusal, of_config, start};
use super::manager::Manager;
use super::refresh::Refresh;
use super::runtime::{Signals, Started, Told, WORKERS, run_topology};
use super::session::{Session, Stamp, data_dir};
use super::shell::{LogFormat, LogLevel, Output, Shell};
use crate::config::files::AgentFile;
use crate::config::load::{Config, Revision};
use crate::event::fault::Diagnostic;
use crate::event::task::SharedTaskSet;
use crate::host::open_files;
use crate::topology::context::Environment;
use crate::topology::run::{Changes, Topology};
use prometheus::{IntCounterVec, Opts};
use revisions::seen;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How often the config's files are looked at for changes.
const CONFIG_POLL: Duration = Duration::from_secs(2);

/// How long everything may take to drain, unless the config says otherwise.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// Run everything that the config says, until SIGTERM. SIGHUP, or a change to the config's files,
/// loads it anew; what did not change keeps running. Where agent.yml names a git repository, so does
/// a new revision there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  driftless agent\n  driftless agent --config ./config --once")]
pub struct Args {
    /// A config directory or file; may be given several times. Default: /etc/driftless/config,
    /// else ~/.config/driftless/config.
    #[arg(long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// Read what is there, poll once, apply once, drain and end.
    #[arg(long)]
    once: bool,
    /// How much the agent says of itself, on standard error.
    #[arg(long, value_enum, default_value_t)]
    log_level: LogLevel,
    /// How it says it.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let session = Arc::new(Session::new(&args.config));
    let stamp = session.stamp();
    let masker = shell.masker.clone();
    let config = match session.load_at(None, &masker) {
        Ok(config) => config,
        Err(complaints) => return shell.complain(&complaints, Output::Text),
    };
    shell.start_logging(args.log_level, args.log_format);
    let _only = match only_agent(&data_dir(&config.agent)) {
        Ok(lock) => lock,
        Err(complaint) => return shell.complain(&[complaint], Output::Text),
    };
    let Start { config, revision, mut follow, candidate } =
        match start(&session, config, &masker, args.once) {
            Ok(start) => start,
            Err(message) => return shell.fail(&message),
        };
    if let Err(error) = open_files::allow_many() {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
    let (environment, tasks) = match session.environment(&config, shell, args.once) {
        Ok(made) => made,
        Err(message) => return shell.fail(&message),
    };
    if let Err(error) = environment.telemetry.own(|_| Ok(shell.own_log.clone())) {
        return shell.fail(&error.to_string());
    }
    let env = Arc::new(environment);
    let loads = match loads(&env) {
        Ok(loads) => loads,
        Err(error) => return shell.fail(&error.to_string()),
    };
    if let Some(Err(error)) = follow.as_ref().map(|follow| follow.register(&env.telemetry)) {
        return shell.fail(&error.to_string());
    }
    let commit = revision.as_ref().map(|revision| revision.commit.clone());
    let board = Arc::new(Board::new(&config.graph, commit));
    if let Some((commit, reason)) = follow.as_ref().and_then(Follow::refused) {
        board.refused(Some((Some(commit), reason)));
    }
    let settings = config.agent;
    let shared = Arc::clone(&env);
    let work = async |started: Started, signals: Signals| {
        let topology = started.inspect_err(|complaints| {
            if let (Some(follow), Some(candidate)) = (&mut follow, &candidate) {
                let failure = of_config(complaints, &env.masker);
                follow.refuse(Some(candidate.commit.clone()), &failure);
            }
        })?;
        if let (Some(follow), Some(candidate)) = (&mut follow, candidate) {
            follow.take(candidate);
        }
        let manager = Manager::of_this_process();
        let refresh = Refresh::new(&settings);
        let agent = Agent {
            session,
            env,
            refresh,
            is_refused: false,
            tasks,
            topology,
            settings,
            stamp,
            loads,
            revision,
            follow,
            board,
            manager,
            signals,
        };
        Ok(if args.once { agent.once().await } else { agent.serve().await })
    };
    run_topology(WORKERS, &config.graph, shared, shell, work)
}

/// How often the config was loaded anew, and how that went.
fn loads(env: &Environment) -> Result<IntCounterVec, prometheus::Error> {
    let help = "Times that the config was loaded anew, by result.";
    let loads = IntCounterVec::new(Opts::new("driftless_config_loads_total", help), &["result"])?;
    env.telemetry.register(Box::new(loads.clone()))?;
    for result in ["taken", "refused"] {
        loads.with_label_values(&[result]).reset();
    }
    Ok(loads)
}

/// Told to stop while a config was being read.
struct Stopped;

struct Agent {
    session: Arc<Session>,
    env: Arc<Environment>,
    tasks: watch::Sender<Option<SharedTaskSet>>,
    topology: Topology,
    settings: AgentFile,
    refresh: Refresh,
    /// Whether what is on disk was refused.
    is_refused: bool,
    stamp: Stamp,
    loads: IntCounterVec,
    signals: Signals,
    /// What of the repository is active.
    revision: Option<Revision>,
    follow: Option<Follow>,
    board: Arc<Board>,
    manager: Manager,
}

impl Agent {
    async fn once(mut self) -> Exit {
        loop {
            tokio::select! {
                () = self.topology.finished() => {
                    let failed = self.env.runs.last_failed();
                    return if failed { Exit::Failed } else { Exit::Success };
                }
                told = self.signals.next() => if told == Told::Stop { break },
            }
        }
        self.drain(None).await
    }

    async fn serve(mut self) -> Exit {
        let mut control = self.listen();
        tracing::info!(host = &*self.env.host, "running");
        self.manager.ready("running");
        let mut drain: Option<(Option<Duration>, oneshot::Sender<bool>)> = None;
        let mut poll = tokio::time::interval(CONFIG_POLL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                told = self.signals.next() => match told {
                    Told::Stop => break,
                    Told::Reload => self.reload("SIGHUP").await.map(drop),
                },
                order = ordered(&mut control) => match order {
                    Order::Reload(answer) => {
                        // Whoever has asked may have gone meanwhile.
                        let told = |loaded| drop(answer.send(loaded));
                        self.reload("driftless reload").await.map(told)
                    }
                    Order::Drain(timeout, answer) => {
                        drain = Some((timeout, answer));
                        break;
                    }
                },
                looked = seen(&mut self.follow) => self.looked(looked).await.map(|()| {
                    self.hold_against_other_keys();
                    self.prune();
                }),
                never = self.manager.live() => match never {},
                () = self.refresh.due() => self.look_up_secrets().await,
                _ = poll.tick() => {
                    if self.session.stamp() == self.stamp {
                        Ok(())
                    } else {
                        self.reload("the config changed").await.map(drop)
                    }
                }
            };
            if let Err(Stopped) = done {
                break;
            }
        }
        let (timeout, answer) = drain.unzip();
        let exit = self.drain(timeout.flatten()).await;
        if let Some(answer) = answer {
            answer.send(exit == Exit::Success).ok();
        }
        if let Some(control) = control {
            control.close().await;
        }
        exit
    }

    /// Listens on the control socket. Without it the agent does all else.
    fn listen(&self) -> Option<Control> {
        let control = Control::open(&self.env, Arc::clone(&self.board));
        let warn = |error: &std::io::Error| {
            let socket = Control::place(&self.env.data_dir);
            tracing::warn!(socket, %error, "nobody can ask this agent how it is");
        };
        control.inspect_err(warn).ok()
    }

    /// `within` the time given, or else what the config says.
    async fn drain(mut self, within: Option<Duration>) -> Exit {
        tracing::info!("draining");
        let said = || self.settings.shutdown_timeout.map_or(SHUTDOWN_TIMEOUT, |period| period.0);
        let deadline = within.unwrap_or_else(said);
        self.manager.stopping(deadline);
        let drained = tokio::select! {
            drained = self.topology.stop(deadline) => drained,
            never = self.manager.live() => match never {},
        };
        if drained {
            return Exit::Success;
        }
        let seconds = deadline.as_secs_f64();
        tracing::error!(seconds, "not everything drained in time; the rest is read again");
        Exit::Failed
    }

    /// Reads the config, of this revision where a repository is followed. A program that tells
    /// secrets may take its time: meanwhile the agent shows that it lives, and can be stopped.
    async fn load(
        &mut self,
        revision: Option<Revision>,
    ) -> Result<Result<Config, Vec<Diagnostic>>, Stopped> {
        let (session, masker) = (Arc::clone(&self.session), self.env.masker.clone());
        let load = move || session.load_at(revision.as_ref(), &masker);
        let loading = tokio::task::spawn_blocking(load);
        tokio::select! {
            loaded = loading => Ok(loaded.unwrap_or_else(|_| {
                Err(vec![Diagnostic::new("the look at the config broke off".to_owned(), None)])
            })),
            () = self.signals.stop() => {
                self.session.end_programs();
                Err(Stopped)
            }
            never = self.manager.live() => match never {},
        }
    }

    /// Loads the config anew, and has a look at the repository. A bad one is refused, and the old
    /// one goes on.
    async fn reload(&mut self, reason: &str) -> Result<Result<Changes, Vec<Diagnostic>>, Stopped> {
        self.stamp = self.session.stamp();
        let mut revision = self.revision.clone();
        let mut config = self.load(revision.clone()).await?;
        if let Some((right, of)) = self.right_by_now(&config) {
            (config, revision) = (right, of);
        }
        let loaded = self.take_over(config, revision);
        if let Err(complaints) = &loaded {
            log_refusal(reason, complaints);
        }
        self.follow.iter_mut().for_each(Follow::again);
        Ok(loaded)
    }

    /// Looks all secrets up anew, and has what uses a changed one start anew. Where that fails, all
    /// goes on with what was known.
    async fn look_up_secrets(&mut self) -> Result<(), Stopped> {
        // What has changed beside them is found by those who look for that.
        if self.session.stamp() != self.stamp {
            self.refresh.wait();
            return Ok(());
        }
        let config = self.load(self.revision.clone()).await?;
        // From its end on, so that one that takes long is not followed by the next at once.
        self.refresh.wait();
        let is_news = self.refresh.is_news(config.is_err());
        match config {
            Ok(config) => {
                self.board.secrets(None);
                if is_news {
                    tracing::info!("secrets can be looked up again");
                }
                let are_same = !self.is_refused
                    && config.secrets == **self.env.secrets.load()
                    && config.agent.git == self.settings.git;
                if !are_same {
                    tracing::info!("secrets have changed");
                    let loaded = self.take_over(Ok(config), self.revision.clone());
                    if let Err(complaints) = loaded {
                        log_refusal("changed secrets", &complaints);
                    }
                }
            }
            Err(complaints) => {
                let failure = of_config(&complaints, &self.env.masker);
                if is_news {
                    tracing::error!("secrets could not be looked up anew, and stay: {failure}");
                }
                self.board.secrets(Some(failure.message));
            }
        }
        Ok(())
    }

    /// Goes over to the config of this revision.
    fn take_over(
        &mut self,
        config: Result<Config, Vec<Diagnostic>>,
        revision: Option<Revision>,
    ) -> Result<Changes, Vec<Diagnostic>> {
        self.manager.reloading();
        let outcome = config.and_then(|config| self.go_over_to(config));
        self.is_refused = outcome.is_err();
        let result = if outcome.is_ok() { "taken" } else { "refused" };
        self.manager.ready(&format!("running; the last config was {result}"));
        self.loads.with_label_values(&[result]).inc();
        if outcome.is_ok() {
            self.revision = revision.filter(|_| self.follow.is_some());
        }
        let complaints = outcome.as_ref().err().into_iter().flatten().map(ToString::to_string);
        self.board.loaded(Load::now(complaints.collect()), self.commit());
        outcome
    }

    fn go_over_to(&mut self, config: Config) -> Result<Changes, Vec<Diagnostic>> {
        let before = (self.env.secrets.load_full(), self.env.constants.load_full());
        log_notes(&config);
        self.env.secrets.store(Arc::new(config.secrets));
        self.env.constants.store(Arc::new(config.constants));
        match self.topology.reload(&config.graph) {
            Ok(changes) => {
                tracing::info!(
                    kept = changes.kept,
                    started = changes.started,
                    stopped = changes.stopped,
                    "config loaded"
                );
                self.board.set_graph(&config.graph);
                self.follow_on(&config.agent);
                if !self.settings.starts_like(&config.agent) {
                    tracing::warn!(
                        "`data_dir`, `host` and `memory_limit` count from the next start"
                    );
                }
                let kept = self.settings.clone();
                self.refresh.set(&config.agent);
                self.board.secrets(None);
                let AgentFile { shutdown_timeout, secrets_interval, git, .. } = config.agent;
                self.settings = AgentFile { shutdown_timeout, secrets_interval, git, ..kept };
                self.tasks.send_if_modified(|current| {
                    let changed = *current != config.tasks;
                    *current = config.tasks;
                    changed
                });
                Ok(changes)
            }
            Err(complaints) => {
                self.env.secrets.store(before.0);
                self.env.constants.store(before.1);
                Err(complaints)
            }
        }
    }
}

/// What whoever asks over the socket wants done; never anything where there is none.
async fn ordered(control: &mut Option<Control>) -> Order {
    match control {
        Some(control) => control.next().await,
        None => std::future::pending().await,
    }
}
