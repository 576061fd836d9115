//! Directories to try task files on, and how a run of one is looked at.

use driftless::config::read::{Dialect, Format, read_file, read_text};
use driftless::event::fault::Diagnostic;
use driftless::event::secret::{Masker, SecretText, Secrets};
use driftless::event::task::{Library, TaskSet};
use driftless::event::tree::{Node, SourceFile};
use driftless::expr::jinja::Engine;
use driftless::expr::scope::{Scope, Vars};
use driftless::expr::value::from_json;
use driftless::host::machine::Machine;
use driftless::sinks::apply::executor::{Inputs, Pending, Selection, Silent, run};
use driftless::sinks::apply::parse;
use driftless::sinks::apply::report::{Report, Status};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A directory to manage, called `{{ root }}` in tasks, and one with the config's own files.
pub(super) struct Bench {
    pub(super) root: TempDir,
    pub(super) base: TempDir,
    config: Option<PathBuf>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let (root, base) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let bench = Self { root, base, config: None };
        let base = bench.base.path();
        fs::create_dir_all(base.join("files/tree/sub")).unwrap();
        fs::create_dir(base.join("templates")).unwrap();
        fs::write(base.join("files/motd"), "hello\n").unwrap();
        fs::write(base.join("files/tree/one"), "1\n").unwrap();
        fs::write(base.join("files/tree/sub/two"), "2\n").unwrap();
        fs::write(base.join("templates/site.j2"), "{% if port %}\nport {{ port }}\n{% endif %}\n")
            .unwrap();
        bench
    }

    /// Lets the config's own files be those of `directory`.
    pub(super) fn stand_in(&mut self, directory: &Path) {
        self.config = Some(directory.to_owned());
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file of the config, such as one of a role.
    pub(super) fn configure(&self, name: &str, text: &str) {
        let path = self.base.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The task set that `text` (an `apply.yml`) stands for, and every complaint about it.
    pub(super) fn parse(&self, text: &str) -> (TaskSet, Vec<Diagnostic>) {
        let path = Path::new("apply.yml").into();
        let file = Arc::new(SourceFile::new(path, text.to_owned()));
        let node = read_text(&file, Format::Yaml, Dialect::Yaml11).unwrap();
        let vars = Vars::from([
            ("root".to_owned(), Node::string(&self.root.path().display().to_string())),
            ("port".to_owned(), Node::string("8080")),
        ]);
        let set = TaskSet {
            revision: "r1".into(),
            base: self.config.clone().unwrap_or_else(|| self.base.path().to_owned()),
            vars,
            groups: vec!["web".into()],
            library: Library::new(|path| read_file(path, Dialect::Yaml11)),
            ..TaskSet::default()
        };
        parse::read(&node, set, &Scope::new(Arc::new(Engine::new())))
    }

    pub(super) fn run_on(
        &self,
        machine: &mut Machine,
        text: &str,
        selection: &Selection,
    ) -> Report {
        self.run_with(machine, text, selection, Pending::default())
    }

    pub(super) fn run_with(
        &self,
        machine: &mut Machine,
        text: &str,
        selection: &Selection,
        pending: Pending,
    ) -> Report {
        let (set, complaints) = self.parse(text);
        assert!(complaints.is_empty(), "{complaints:#?}");
        let inputs = Inputs { pending, ..inputs() };
        run(&set, machine, &inputs, selection, &mut Silent)
    }

    pub(super) fn run(&self, text: &str) -> Report {
        self.run_on(&mut Machine::live(), text, &Selection::default())
    }

    pub(super) fn dry_run(&self, text: &str) -> Report {
        self.run_on(&mut Machine::overlay(), text, &Selection::default())
    }

    /// All that a dry run must leave alone: names, inodes, times, permissions, content.
    pub(super) fn snapshot(&self) -> BTreeMap<PathBuf, impl PartialEq + std::fmt::Debug + use<>> {
        let mut found = BTreeMap::new();
        let mut ahead = vec![self.root.path().to_owned()];
        while let Some(path) = ahead.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            let mut content = Vec::new();
            if meta.is_dir() {
                ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if meta.is_symlink() {
                content = fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes();
            } else if meta.is_file() {
                content = fs::read(&path).unwrap();
            }
            let what =
                (meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.mode(), meta.uid(), content);
            found.insert(path, what);
        }
        found
    }
}

fn secrets() -> Secrets {
    [("TOKEN".to_owned(), SecretText::new("hunter2-hunter2".into()))].into_iter().collect()
}

pub(super) fn inputs() -> Inputs {
    Inputs {
        engine: Arc::new(Engine::new()),
        facts: from_json(&serde_json::json!({"os": {"family": "debian"}})),
        host: "web1".into(),
        masker: Masker::new(&secrets()),
        secrets: secrets(),
        extra_vars: Vars::new(),
        pending: Pending::default(),
        diffs: false,
    }
}

/// How each task ended, as letters: ok, changed, failed, skipped, unknown; ignored failures `i`.
pub(super) fn letters(report: &Report) -> String {
    let letter = |status: Status, ignored: bool| match status {
        Status::Ok => 'o',
        Status::Changed => 'c',
        Status::Failed if ignored => 'i',
        Status::Failed => 'f',
        Status::Skipped => 's',
        Status::Unknown => 'u',
    };
    report.tasks.iter().map(|task| letter(task.status, task.ignored)).collect()
}

/// The names of the tasks that ran, in order.
pub(super) fn names(report: &Report) -> String {
    report.tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>().join(" ")
}

/// What the last task had to say.
pub(super) fn last_message(report: &Report) -> &str {
    report.tasks.last().and_then(|task| task.message.as_deref()).unwrap_or_default()
}
