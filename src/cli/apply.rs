//! `driftless apply`: brings this host to what a config declares, once.

use super::Exit;
use super::apply_list::{show_tags, show_tasks};
use super::apply_plan::{Saved, Target};
use super::apply_report::{Manner, Progress, Steps, write_end};
use super::elsewhere::More;
use super::extra_vars;
use super::report::Colour;
use super::runtime::{self, Signals, Told};
use super::session::{Session, standard_config, standard_data_dir};
use super::shell::{Output, Shell};
use crate::config::load::Config;
use crate::event::fault::Diagnostic;
use crate::event::task::TaskSet;
use crate::host::facts::facts_value;
use crate::host::machine::Machine;
use crate::host::own_text;
use crate::sinks::apply::executor::{Inputs, Pending, Selection, Silent, run as run_tasks};
use crate::sinks::apply::hosts::Host;
use crate::sinks::apply::list::list;
use crate::sinks::apply::record::run_recorded;
use crate::sinks::apply::report::{Report, Status};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::oneshot;

/// Bring this host to what a config declares, once. Exit code 0: it is as declared; 1: something
/// failed; 2: a dry run found changes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  driftless apply --dry-run
  driftless apply site.yml --diff
  driftless apply . --tags web,tls --extra-vars 'port=8080 site=shop'
  driftless apply . --list-tasks
  driftless apply . --start-at 'site *' --step
  driftless apply . --plan site.plan && driftless apply site.plan
  driftless apply . --dry-run --as web1.example.com --facts web1.json
  driftless apply . --dry-run --output json")]
pub struct Args {
    /// A config directory, an apply file of any name, a plain list of tasks, a playbook, or a saved
    /// plan. Default: /etc/driftless/config, else ~/.config/driftless/config.
    #[arg(value_name = "FILE|DIR")]
    pub(super) path: Option<PathBuf>,
    /// Show what would change, and touch nothing.
    #[arg(long, visible_alias = "check")]
    pub(super) dry_run: bool,
    /// Show what would change, and save it; the file's name ends with `.plan`. `apply FILE.plan` does
    /// it, and refuses where it would not be the same any more.
    #[arg(long, value_name = "FILE.plan", conflicts_with = "step")]
    pub(super) plan: Option<PathBuf>,
    /// Show how texts change; a dry run always does.
    #[arg(long)]
    pub(super) diff: bool,
    /// Only tasks with one of these tags.
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub(super) tags: Vec<String>,
    /// No tasks with one of these tags.
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub(super) skip_tags: Vec<String>,
    /// Begin with the task of this name; it may hold `*` and `?`.
    #[arg(long, visible_alias = "start-at-task", value_name = "TASK")]
    pub(super) start_at: Option<String>,
    /// Only if this host is among these: hosts, groups and patterns with `,` between, `!` for not.
    #[arg(long, value_name = "NAME")]
    pub(super) limit: Option<String>,
    /// Ask before each task whether it is to run: yes, no, or all from here on.
    #[arg(long)]
    pub(super) step: bool,
    /// Show the tasks, and run none.
    #[arg(long)]
    pub(super) list_tasks: bool,
    /// Show the tags that tasks have, and run none.
    #[arg(long)]
    pub(super) list_tags: bool,
    /// Do not ask on a terminal before something changes.
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Variables that beat all others: `name=value`, `@FILE`, or a mapping; may be given several
    /// times.
    #[arg(short, long, value_name = "VARS")]
    pub(super) extra_vars: Vec<String>,
    /// Show what this host would get, as far as that can be told from here: files, packages,
    /// users, services and what commands say are those of this machine.
    #[arg(long = "as", value_name = "NAME", requires = "dry_run", conflicts_with = "plan")]
    pub(super) as_host: Option<String>,
    #[command(flatten)]
    pub(super) elsewhere: More,
    /// Whom the result is for: a line a task for people, JSON lines for machines.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: Output,
}

/// All that a run needs.
struct Plan {
    set: TaskSet,
    inputs: Inputs,
    selection: Selection,
    data_dir: PathBuf,
    manner: Manner,
    steps: Steps,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let saved = match Saved::named(args) {
        Ok(saved) => saved,
        Err(message) => return shell.fail(&message),
    };
    let args = &match (&saved, &args.plan) {
        (Some(saved), _) => saved.arguments(args),
        // The plan may be used from elsewhere.
        (None, Some(_)) => {
            let path = args.path.clone().unwrap_or_else(standard_config);
            Args { path: std::path::absolute(&path).ok().or(Some(path)), ..args.clone() }
        }
        (None, None) => args.clone(),
    };
    let paths: Vec<PathBuf> = args.path.iter().cloned().collect();
    let elsewhere = match args.elsewhere.of(args.as_host.as_deref(), "--as") {
        Ok(elsewhere) => elsewhere,
        Err(complaint) => return shell.complain(&[complaint], args.output),
    };
    let session = Session::new(&paths).on(elsewhere);
    let config = match session.load_or_complain(shell, args.output) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    shell.note(&config.notes, Output::Text);
    let plan = match plan(args, &session, config, shell) {
        Ok(plan) => plan,
        Err(exit) => return exit,
    };
    if args.list_tasks || args.list_tags {
        let listed = list(&plan.set, &plan.selection);
        let show = if args.list_tasks { show_tasks } else { show_tags };
        return show(&listed, args.output, shell);
    }
    let host = Host { name: &plan.inputs.host, groups: &plan.set.groups };
    match args.limit.as_deref().map_or(Ok(true), |limit| host.is_meant(limit)) {
        Ok(true) => {}
        Ok(false) => {
            let host = &plan.inputs.host;
            return shell.print(&format!("--limit leaves this host, `{host}`, out\n"));
        }
        Err(message) => return shell.fail(&format!("--limit: {message}")),
    }
    // The tasks need little of what has read the config.
    own_text::give_back();
    if let Some(path) = &args.plan {
        return plan.save(args, path, shell);
    }
    if args.dry_run {
        let exit = plan.dry_run(shell);
        if let Some(host) = &args.as_host {
            shell.note(&of_this_machine(host, &session), Output::Text);
        }
        return exit;
    }
    if let Some(saved) = &saved
        && let Err(why) = plan.check(saved)
    {
        return shell.fail(&format!("{why}; nothing was done"));
    }
    let asks = !args.yes
        && saved.is_none()
        && !args.step
        && args.output == Output::Text
        && io::stdin().is_terminal()
        && io::stdout().is_terminal();
    if asks {
        let foretold = plan.dry_run(shell);
        if foretold != Exit::Success && !agrees(shell) {
            return foretold;
        }
    }
    plan.apply(saved.as_ref(), shell)
}

fn plan(args: &Args, session: &Session, config: Config, shell: &mut Shell) -> Result<Plan, Exit> {
    let Some(tasks) = config.tasks else {
        return Err(shell.fail("this config declares no tasks; they go into apply.yml"));
    };
    let extra_vars = extra_vars::read(&args.extra_vars)
        .map_err(|complaints| shell.complain(&complaints, args.output))?;
    let mut set = Arc::unwrap_or_clone(tasks);
    set.secrets.clone_from(&config.secrets);
    let no_color = std::env::var("NO_COLOR").ok();
    let data_dir = config.agent.data_dir.unwrap_or_else(standard_data_dir);
    let pending = match args.as_host {
        Some(_) => Pending::default(),
        None => Pending::look(&data_dir).map_err(|error| {
            let place = data_dir.display();
            shell.fail(&format!("which handlers were notified, in `{place}`: {error}"))
        })?,
    };
    Ok(Plan {
        set,
        inputs: Inputs {
            engine: Arc::clone(&session.engine),
            facts: facts_value(&session.facts),
            host: config.host,
            secrets: config.secrets,
            masker: shell.masker.clone(),
            extra_vars,
            pending,
            diffs: args.diff,
        },
        selection: Selection {
            tags: args.tags.clone(),
            skip_tags: args.skip_tags.clone(),
            start_at: args.start_at.clone(),
        },
        data_dir,
        manner: Manner {
            output: args.output,
            colour: Colour::choose(&io::stdout(), no_color.as_deref()),
            diffs: args.diff,
            is_watched: args.output == Output::Text && io::stdout().is_terminal(),
        },
        steps: if args.step { Steps::Asked } else { Steps::All },
    })
}

impl Plan {
    fn target(&self) -> Target<'_> {
        let (host, revision) = (&self.inputs.host, &self.set.revision);
        Target { host, revision, data_dir: &self.data_dir }
    }

    /// Shows what would change, and saves it in the file `path`.
    fn save(&self, args: &Args, path: &Path, shell: &mut Shell) -> Exit {
        if path.extension().is_none_or(|end| end != "plan") {
            return shell
                .fail(&format!("--plan: the name `{}` does not end with `.plan`", path.display()));
        }
        let (exit, machine) = match self.foretell(shell) {
            Ok((Exit::Failed, _)) => return Exit::Failed,
            Ok(foretold) => foretold,
            Err(message) => return shell.fail(&message),
        };
        let config = args.path.clone().unwrap_or_default();
        let saved = Saved::new(args, config, &self.target(), machine.journal());
        match saved.and_then(|saved| saved.write(path)) {
            Ok(()) => exit,
            Err(error) => shell.fail(&format!("the plan `{}`: {error}", path.display())),
        }
    }

    /// Whether what was planned is what would be done now.
    fn check(&self, saved: &Saved) -> Result<(), String> {
        let (report, machine) = in_sandbox(|machine| {
            run_tasks(&self.set, machine, &self.inputs, &self.selection, &mut Silent)
        })?;
        let failed = report.tasks.iter().rfind(|task| task.status == Status::Failed);
        match failed.filter(|_| report.has_failed()) {
            Some(task) => Err(format!(
                "the plan cannot be carried out any more: {}: {}",
                task.name,
                task.message.as_deref().unwrap_or("it would fail")
            )),
            None => saved.check(&self.target(), machine.journal()),
        }
    }

    /// Shows what would change.
    fn dry_run(&self, shell: &mut Shell) -> Exit {
        match self.foretell(shell) {
            Ok((exit, _)) => exit,
            Err(message) => shell.fail(&message),
        }
    }

    fn foretell(&self, shell: &mut Shell) -> Result<(Exit, Machine), String> {
        let manner = Manner { diffs: true, ..self.manner };
        let begun = Instant::now();
        let interrupted = &AtomicBool::new(false);
        let mut progress = Progress { out: &mut shell.out, manner, interrupted, steps: Steps::All };
        let Self { set, inputs, selection, .. } = self;
        let (report, machine) =
            in_sandbox(|machine| run_tasks(set, machine, inputs, selection, &mut progress))?;
        write_end(&mut shell.out, &report, begun.elapsed(), manner)
            .and_then(|()| shell.out.flush())
            .ok();
        let recap = report.recap();
        let exit = match report.has_failed() {
            true => Exit::Failed,
            false if recap.changed + recap.unknown > 0 => Exit::Pending,
            false => Exit::Success,
        };
        Ok((exit, machine))
    }

    /// Does it, where it is still what was `saved`. Ctrl-C and SIGTERM end it after the task that is
    /// under way.
    fn apply(&self, saved: Option<&Saved>, shell: &mut Shell) -> Exit {
        let interrupted = AtomicBool::new(false);
        let begun = Instant::now();
        let (over, is_over) = oneshot::channel();
        let Shell { out, err, .. } = shell;
        let end = std::thread::scope(|scope| {
            let (manner, steps, interrupted) = (self.manner, self.steps, &interrupted);
            let mut progress = Progress { out: &mut *out, manner, interrupted, steps };
            let worker = scope.spawn(move || {
                let waits = |pid: &str| {
                    // Waiting is no failure, and nobody may be listening.
                    writeln!(err, "waiting for another run (process {pid})").ok();
                    err.flush().ok();
                };
                let Self { set, inputs, selection, data_dir, .. } = self;
                let check = || match saved.map(|saved| self.check(saved)) {
                    Some(Err(why)) => Err(format!("{why}; nothing was done")),
                    _ => Ok(()),
                };
                let end =
                    run_recorded(set, inputs, selection, data_dir, waits, check, &mut progress);
                over.send(()).ok();
                end
            });
            heed_signals(interrupted, is_over)?;
            worker.join().unwrap_or_else(|_| Err("a bug in a task ended the run".into()))
        });
        match end {
            Ok(report) => self.finish(&report, begun, shell),
            Err(message) => shell.fail(&message),
        }
    }

    fn finish(&self, report: &Report, begun: Instant, shell: &mut Shell) -> Exit {
        write_end(&mut shell.out, report, begun.elapsed(), self.manner)
            .and_then(|()| shell.out.flush())
            .ok();
        if report.has_failed() { Exit::Failed } else { Exit::Success }
    }
}

/// Which answers of a dry run for another host are those of this machine.
fn of_this_machine(host: &str, session: &Session) -> Vec<Diagnostic> {
    let message = format!(
        "this is what `{host}` would get if its files, packages, users and services, and what \
         commands say, were those of this machine"
    );
    [Diagnostic::new(message, None)].into_iter().chain(session.note_facts()).collect()
}

/// Has `work` done by a dry run on a thread that cannot change the host, as far as the kernel can
/// see to that. What binds the thread ends with it, so that what follows may write.
fn in_sandbox<R: Send>(
    work: impl FnOnce(&mut Machine) -> R + Send,
) -> Result<(R, Machine), String> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut machine = Machine::shut_in();
            let result = work(&mut machine);
            (result, machine)
        });
        worker.join().map_err(|_| "a bug in a task ended the dry run".into())
    })
}

/// Waits until the run is over, and notes the signals that come meanwhile.
fn heed_signals(
    interrupted: &AtomicBool,
    mut is_over: oneshot::Receiver<()>,
) -> Result<(), String> {
    let wait = async {
        let mut signals = Signals::new().map_err(|error| error.to_string())?;
        loop {
            tokio::select! {
                _ = &mut is_over => return Ok(()),
                told = signals.next() => if told == Told::Stop {
                    interrupted.store(true, Ordering::Relaxed);
                },
            }
        }
    };
    runtime::run(1, wait)?
}

fn agrees(shell: &mut Shell) -> bool {
    let asked = write!(shell.out, "Apply this? [y/N] ").and_then(|()| shell.out.flush());
    let mut answer = String::new();
    let heard = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    heard.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
