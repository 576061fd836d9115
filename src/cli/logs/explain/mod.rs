//! `driftless logs explain`: what a config does to one record of a file.

mod seen;
mod show;

use crate::cli::Exit;
use crate::cli::session::Session;
use crate::cli::shell::{Output, Shell};
use crate::config::load::Config;
use crate::event::Batch;
use crate::event::fault::nearest;
use crate::topology::component::{BuildContext, Glimpse, Place};
use crate::topology::context::Environment;
use crate::topology::graph::{Component, Graph};
use crate::topology::trial::{Names, Trial};
use seen::Explanation;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Show what the config does to one record of a log file, step by step, and which sinks would get
/// it. Nothing is delivered, and no checkpoint is touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  driftless logs explain /var/log/nginx/access.log:48213
  driftless logs explain /var/log/app.log --line 7 --config ./hosts/web
  driftless logs explain /var/log/app.log.1.gz:0 --source app --output json")]
pub(super) struct Args {
    /// The file, and a byte of the record: any that it has, counted from 0.
    #[arg(value_name = "FILE:OFFSET")]
    place: String,
    /// A line of the record instead of a byte, counted from 1; then the file stands alone.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    line: Option<u64>,
    /// The source that reads it, where its patterns do not match the file, or several do.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Directories or files; the installed config where none is given.
    #[arg(long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// Whom the result is for.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let (path, place) = match place(args) {
        Ok(found) => found,
        Err(message) => return shell.fail(&message),
    };
    let session = Session::new(&args.config);
    let config = match session.load_or_complain(shell, args.output) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let (mut environment, _) = match session.environment(&config, shell, true) {
        Ok(made) => made,
        Err(message) => return shell.fail(&message),
    };
    environment.keeps_state = false;
    match explain(args, &config, &Arc::new(environment), &path, place) {
        Ok(all) => match args.output {
            Output::Text => {
                let texts: Vec<String> = all.iter().map(show::text).collect();
                shell.print(&texts.join("\n"))
            }
            Output::Json => shell.print(&show::json(&all)),
        },
        Err(message) => shell.fail(&message),
    }
}

/// The file as an absolute path, and which of its records is meant.
fn place(args: &Args) -> Result<(PathBuf, Place), String> {
    let absolute =
        |path: &str| std::path::absolute(path).map_err(|error| format!("`{path}`: {error}"));
    if let Some(line) = args.line {
        return Ok((absolute(&args.place)?, Place::Line(line)));
    }
    let parts = args.place.rsplit_once(':');
    let found = parts.and_then(|(path, offset)| Some((path, offset.parse().ok()?)));
    match found {
        Some((path, offset)) => Ok((absolute(path)?, Place::Byte(offset))),
        None => {
            Err(format!("`{}` does not say which record: add `:OFFSET`, or `--line N`", args.place))
        }
    }
}

/// What each source that reads the file makes of the record.
fn explain(
    args: &Args,
    config: &Config,
    env: &Arc<Environment>,
    path: &Path,
    place: Place,
) -> Result<Vec<Explanation>, String> {
    let sources = match &args.source {
        Some(name) => vec![named(&config.graph, name)?],
        None => reading(&config.graph, path)?,
    };
    let explained = sources.iter().map(|source| {
        let Some(Component::Source(settings)) =
            config.graph.nodes.get(source).map(|node| &node.component)
        else {
            return Err(format!("`{source}` is no source"));
        };
        let cx = BuildContext { name: Arc::clone(source), env: Arc::clone(env) };
        let Some(glimpse) = settings.glimpse(path, place, &cx) else {
            return Err(format!("the source `{source}` reads no files"));
        };
        follow(config, env, source, path, &glimpse?)
    });
    explained.collect()
}

/// The sources that read the file.
fn reading(graph: &Graph, path: &Path) -> Result<Vec<Arc<str>>, String> {
    let reads = |path: &Path| -> Vec<Arc<str>> {
        let all = graph.nodes.iter().filter(|(_, node)| match &node.component {
            Component::Source(source) => source.reads(path),
            Component::Transform(_) | Component::Sink(_) => false,
        });
        all.map(|(name, _)| Arc::clone(name)).collect()
    };
    let mut found = reads(path);
    if found.is_empty()
        && let Ok(real) = path.canonicalize()
    {
        found = reads(&real);
    }
    if found.is_empty() {
        return Err(format!(
            "no source of the config reads `{}`; `--source NAME` shows what one would make of it",
            path.display()
        ));
    }
    Ok(found)
}

fn named(graph: &Graph, name: &str) -> Result<Arc<str>, String> {
    let found = Names::of(graph).input(name).ok();
    let is_source = |name: &Arc<str>| graph.nodes.get(name).is_some_and(|it| it.role() == "source");
    found.filter(is_source).ok_or_else(|| {
        let sources = graph.nodes.iter().filter(|(_, node)| node.role() == "source");
        let names: Vec<&str> = sources
            .flat_map(|(name, _)| [name.strip_prefix("logs."), Some(&**name)])
            .flatten()
            .collect();
        match nearest(name, names) {
            Some(near) => format!("there is no source `{name}`; did you mean `{near}`?"),
            None => format!("there is no source `{name}`"),
        }
    })
}

/// Takes the record through the graph.
fn follow(
    config: &Config,
    env: &Arc<Environment>,
    source: &Arc<str>,
    path: &Path,
    glimpse: &Glimpse,
) -> Result<Explanation, String> {
    let mut trial = Trial::new(&config.graph, env).map_err(|complaints| {
        complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    })?;
    let record = Batch::Logs(glimpse.record.clone());
    let ran = trial.give(source, record).and_then(|()| {
        let at_once = trial.steps().len();
        trial.finish().map(|()| at_once)
    });
    let at_once = ran.map_err(|fault| fault.message)?;
    Ok(Explanation::new(config, env, source, path, glimpse, &mut trial, at_once))
}
