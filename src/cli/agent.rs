//! `driftless agent`: runs everything that the config says, until told to stop.

use super::Exit;
use super::runtime::{self, Signals, Told};
use super::session::{Session, Stamp};
use super::shell::{LogFormat, LogLevel, Output, Shell};
use crate::config::files::AgentFile;
use crate::config::load::Config;
use crate::event::task::SharedTaskSet;
use crate::host::open_files;
use crate::topology::context::Environment;
use crate::topology::run::Topology;
use prometheus::{IntCounterVec, Opts};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the config's files are looked at for changes.
const CONFIG_POLL: Duration = Duration::from_secs(2);

/// How long everything may take to drain, unless the config says otherwise.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// Run everything that the config says, until SIGTERM. SIGHUP, or a change to the config's files,
/// loads it anew; what did not change keeps running.
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
    let config = match session.load_or_complain(shell, Output::Text) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    shell.start_logging(args.log_level, args.log_format);
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
    let start = async || {
        let env = Arc::new(environment);
        let topology = Topology::start(&config.graph, Arc::clone(&env))
            .map_err(|complaints| shell.complain(&complaints, Output::Text))?;
        let signals = Signals::new().map_err(|error| shell.fail(&error.to_string()))?;
        let loads = loads(&env).map_err(|error| shell.fail(&error.to_string()))?;
        let settings = config.agent;
        let agent = Agent { session: &session, env, tasks, topology, settings, stamp, loads };
        Ok(if args.once { agent.once(signals).await } else { agent.serve(signals).await })
    };
    let end = runtime::run(start());
    match end {
        Ok(Ok(exit) | Err(exit)) => exit,
        Err(message) => shell.fail(&message),
    }
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

struct Agent<'s> {
    session: &'s Session,
    env: Arc<Environment>,
    tasks: watch::Sender<Option<SharedTaskSet>>,
    topology: Topology,
    settings: AgentFile,
    stamp: Stamp,
    loads: IntCounterVec,
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
        self.drain().await
    }

    async fn serve(mut self, mut signals: Signals) -> Exit {
        tracing::info!(host = &*self.env.host, "running");
        let mut poll = tokio::time::interval(CONFIG_POLL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                told = signals.next() => match told {
                    Told::Stop => break,
                    Told::Reload => self.reload("SIGHUP"),
                },
                _ = poll.tick() => {
                    if self.session.stamp() != self.stamp {
                        self.reload("the config changed");
                    }
                }
            }
        }
        self.drain().await
    }

    async fn drain(self) -> Exit {
        tracing::info!("draining");
        let deadline = self.settings.shutdown_timeout.map_or(SHUTDOWN_TIMEOUT, |period| period.0);
        if self.topology.stop(deadline).await {
            return Exit::Success;
        }
        let seconds = deadline.as_secs_f64();
        tracing::error!(seconds, "not everything drained in time; the rest is read again");
        Exit::Failed
    }

    /// Loads the config anew. A bad one is refused, and the old one goes on.
    fn reload(&mut self, reason: &str) {
        self.stamp = self.session.stamp();
        let outcome =
            self.session.load(&self.env.masker).and_then(|config| self.go_over_to(config));
        match outcome {
            Ok(()) => self.loads.with_label_values(&["taken"]).inc(),
            Err(complaints) => {
                self.loads.with_label_values(&["refused"]).inc();
                for complaint in &complaints {
                    let hint = complaint.hint.as_deref();
                    tracing::error!(reason, complaint = %complaint, hint, "config refused");
                }
            }
        }
    }

    fn go_over_to(&mut self, config: Config) -> Result<(), Vec<crate::event::fault::Diagnostic>> {
        let before = (self.env.secrets.load_full(), self.env.constants.load_full());
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
                if !self.settings.starts_like(&config.agent) {
                    tracing::warn!(
                        "`data_dir`, `host` and `memory_limit` count from the next start"
                    );
                }
                let kept = self.settings.clone();
                self.settings =
                    AgentFile { shutdown_timeout: config.agent.shutdown_timeout, ..kept };
                self.tasks.send_if_modified(|current| {
                    let changed = *current != config.tasks;
                    *current = config.tasks;
                    changed
                });
                Ok(())
            }
            Err(complaints) => {
                self.env.secrets.store(before.0);
                self.env.constants.store(before.1);
                Err(complaints)
            }
        }
    }
}
