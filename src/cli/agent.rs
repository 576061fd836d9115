//! `driftless agent`: runs everything that the config says, until told to stop.

use super::Exit;
use super::control::{Board, Control, Load, Order, only_agent};
use super::follow::{
    Candidate, Follow, Looked, Start, log_notes, log_refusal, of_config, start, still_right,
};
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
    let session = Session::new(&args.config);
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
    let (session, settings) = (&session, config.agent);
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
        };
        Ok(if args.once { agent.once(signals).await } else { agent.serve(signals).await })
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

/// What is loaded of a revision, and which one that is.
type Loaded = (Result<Config, Vec<Diagnostic>>, Option<Revision>);

struct Agent<'s> {
    session: &'s Session,
    env: Arc<Environment>,
    tasks: watch::Sender<Option<SharedTaskSet>>,
    topology: Topology,
    settings: AgentFile,
    refresh: Refresh,
    /// Whether what is on disk was refused.
    is_refused: bool,
    stamp: Stamp,
    loads: IntCounterVec,
    /// What of the repository is active.
    revision: Option<Revision>,
    follow: Option<Follow>,
    board: Arc<Board>,
    manager: Manager,
}

impl Agent<'_> {
    async fn once(mut self, mut signals: Signals) -> Exit {
        loop {
            tokio::select! {
                () = self.topology.finished() => {
                    let failed = self.env.runs.last_failed();
                    return if failed { Exit::Failed } else { Exit::Success };
                }
                told = signals.next() => if told == Told::Stop { break },
            }
        }
        self.drain(None).await
    }

    async fn serve(mut self, mut signals: Signals) -> Exit {
        let mut control = self.listen();
        tracing::info!(host = &*self.env.host, "running");
        self.manager.ready("running");
        let mut drain: Option<(Option<Duration>, oneshot::Sender<bool>)> = None;
        let mut poll = tokio::time::interval(CONFIG_POLL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                told = signals.next() => match told {
                    Told::Stop => break,
                    Told::Reload => drop(self.reload("SIGHUP")),
                },
                order = ordered(&mut control) => match order {
                    // Whoever has asked may have gone meanwhile.
                    Order::Reload(answer) => drop(answer.send(self.reload("driftless reload"))),
                    Order::Drain(timeout, answer) => {
                        drain = Some((timeout, answer));
                        break;
                    }
                },
                looked = seen(&mut self.follow) => {
                    self.looked(looked);
                    self.hold_against_other_keys();
                    self.prune();
                }
                () = self.manager.live() => {}
                () = self.refresh.due() => self.look_up_secrets(),
                _ = poll.tick() => {
                    if self.session.stamp() != self.stamp {
                        drop(self.reload("the config changed"));
                    }
                }
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
            () = self.manager.live() => false,
        };
        if drained {
            return Exit::Success;
        }
        let seconds = deadline.as_secs_f64();
        tracing::error!(seconds, "not everything drained in time; the rest is read again");
        Exit::Failed
    }

    /// Loads the config anew, and has a look at the repository. A bad one is refused, and the old
    /// one goes on.
    fn reload(&mut self, reason: &str) -> Result<Changes, Vec<Diagnostic>> {
        self.stamp = self.session.stamp();
        let mut revision = self.revision.clone();
        let mut config = self.session.load_at(revision.as_ref(), &self.env.masker);
        if let Some((right, of)) = self.right_by_now(&config) {
            (config, revision) = (right, of);
        }
        let loaded = self.take_over(config, revision);
        if let Err(complaints) = &loaded {
            log_refusal(reason, complaints);
        }
        self.follow.iter_mut().for_each(Follow::again);
        loaded
    }

    /// What runs in the place of the active revision, where `config` asks for other signatures than
    /// before: that one counts for nothing any more where it is not signed so.
    fn right_by_now(&mut self, config: &Result<Config, Vec<Diagnostic>>) -> Option<Loaded> {
        let (Ok(Config { agent: AgentFile { git: Some(settings), .. }, .. }), Some(follow)) =
            (config, &mut self.follow)
        else {
            return None;
        };
        if !follow.asks_for_other_signatures(settings) {
            return None;
        }
        follow.set(settings);
        self.still_right("other signatures are asked for")
    }

    /// Goes back from the active revision where its signature counts for nothing any more, since the
    /// files of keys were changed.
    fn hold_against_other_keys(&mut self) {
        if !self.follow.as_mut().is_some_and(Follow::has_other_keys) {
            return;
        }
        tracing::info!("the keys have changed: the active revision is held against them");
        let (before, reason) = (self.commit(), "other keys count");
        let Some((config, revision)) = self.still_right(reason) else { return };
        if revision.as_ref().map(|revision| &revision.commit) == before.as_ref() {
            return;
        }
        if let Err(complaints) = self.take_over(config, revision) {
            log_refusal(reason, &complaints);
        }
        let refused = self.follow.as_ref().and_then(Follow::refused);
        self.board.refused(refused.map(|(commit, reason)| (Some(commit), reason)));
    }

    fn commit(&self) -> Option<String> {
        self.revision.as_ref().map(|revision| revision.commit.clone())
    }

    /// What is to run by the signatures that count now: the active revision, or what comes in its
    /// place. Nothing where there is none.
    fn still_right(&mut self, reason: &str) -> Option<Loaded> {
        let masker = &self.env.masker;
        match still_right(self.session, self.follow.as_mut()?, masker, reason) {
            Ok((config, revision)) => Some((Ok(config), Some(revision))),
            Err(None) => None,
            Err(Some(_)) => {
                tracing::error!(
                    "there is no other revision to go back to: runs what agent.yml says"
                );
                Some((self.session.load_at(None, masker), None))
            }
        }
    }

    /// Looks all secrets up anew, and has what uses a changed one start anew. Where that fails, all
    /// goes on with what was known.
    fn look_up_secrets(&mut self) {
        self.refresh.wait();
        // What has changed beside them is found by those who look for that.
        if self.session.stamp() != self.stamp {
            return;
        }
        let config = self.session.load_at(self.revision.as_ref(), &self.env.masker);
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

    /// Takes a new revision, or stays with the one that is active.
    fn looked(&mut self, looked: Looked) {
        let refused = match looked {
            Looked::Active => {
                self.board.refused(None);
                return self.follow.iter_mut().for_each(Follow::is_newest);
            }
            Looked::Refused => return self.follow.iter().for_each(Follow::is_still_refused),
            Looked::Waiting => return self.follow.iter().for_each(Follow::is_still_waiting),
            Looked::Failed(commit, failure) => (commit, failure),
            Looked::New(candidate) => {
                let revision = self.follow.as_ref().map(|follow| follow.revision(&candidate));
                let config = self.session.load_at(revision.as_ref(), &self.env.masker);
                let turn = config.as_ref().ok().and_then(|config| config.turn);
                if self.follow.as_mut().is_some_and(|follow| follow.waits(&candidate, turn)) {
                    self.board.refused(None);
                    return;
                }
                match self.take_over(config, revision) {
                    Ok(_) => return self.taken(candidate),
                    Err(complaints) => {
                        log_refusal("a new revision", &complaints);
                        (Some(candidate.commit), of_config(&complaints, &self.env.masker))
                    }
                }
            }
        };
        self.board.refused(Some((refused.0.clone(), &refused.1.message)));
        if let Some(follow) = &mut self.follow {
            follow.refuse(refused.0, &refused.1);
        }
    }

    fn taken(&mut self, candidate: Candidate) {
        self.board.refused(None);
        if let Some(follow) = &mut self.follow {
            follow.take(candidate);
        }
    }

    /// A run may still be busy with files of an older revision.
    fn prune(&mut self) {
        if !self.env.runs.is_running() {
            self.follow.iter_mut().for_each(Follow::prune);
        }
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

    /// Follows what the config says from now on.
    fn follow_on(&mut self, agent: &AgentFile) {
        match (&agent.git, &mut self.follow) {
            (Some(settings), Some(follow)) => follow.set(settings),
            (None, Some(_)) => {
                tracing::info!("no repository is followed any more");
                self.follow = None;
            }
            (Some(_), None) => tracing::warn!("`git` counts from the next start"),
            (None, None) => {}
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

/// What the next look shows; never anything where no repository is followed.
async fn seen(follow: &mut Option<Follow>) -> Looked {
    match follow {
        Some(follow) => follow.seen().await,
        None => std::future::pending().await,
    }
}
