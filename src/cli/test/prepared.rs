//! From a file of tests to tests that can run: configs loaded, names found, records made.

use super::files::TestPath;
use super::judge::{self, Outcome};
use crate::cli::session::Session;
use crate::cli::shell::Shell;
use crate::config::load::Config;
use crate::config::test_file::{Expected, Given, GivenKind, GivenMetric, Test, TestFile, time_ns};
use crate::event::Batch;
use crate::event::de::Spanned;
use crate::event::fault::{Diagnostic, nearest};
use crate::event::log::{FieldRef, LogBatch, Origin, Verdict};
use crate::event::metric::{Family, MetricBatch, MetricKind, Text};
use crate::event::tree::{Node, Value};
use crate::expr::value::{from_node, to_json};
use crate::host::facts::Facts;
use crate::topology::component::Fault;
use crate::topology::context::Environment;
use crate::topology::graph::{Graph, Port};
use crate::topology::trial::{Names, Trial, Unknown};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// When a test begins, unless it says otherwise: 2026-01-01T00:00:00Z.
const BEGIN_NS: i64 = 1_767_225_600_000_000_000;

/// The node's name where nobody gives one.
const HOST: &str = "test-host";

/// A test that can run.
pub(super) struct Prepared {
    pub(super) name: Spanned<String>,
    inputs: Vec<Input>,
    expect: Vec<(Port, Expected)>,
    subject: Arc<Subject>,
}

/// A step of a test: time that passes, then records that go in.
struct Input {
    after: Duration,
    batch: Option<(Arc<str>, Batch)>,
}

/// The config that is tested.
pub(super) struct Subject {
    pub(super) graph: Graph,
    pub(super) env: Arc<Environment>,
}

/// Makes the tests of all files ready, those of which the name has `only` in it.
pub(super) fn prepare(
    files: &[TestPath],
    only: Option<&str>,
    shell: &Shell,
) -> Result<Vec<Prepared>, Vec<Diagnostic>> {
    let mut all = Vec::new();
    let mut complaints = Vec::new();
    for path in files {
        let file = match TestFile::read(&path.path) {
            Ok(file) => file,
            Err(more) => {
                complaints.extend(more);
                continue;
            }
        };
        let mut preparing =
            Preparing { file: &file, path, shell, subjects: Vec::new(), complaints: Vec::new() };
        preparing.check_facts();
        let wanted = |test: &&Test| only.is_none_or(|only| test.name.contains(only));
        all.extend(file.tests.iter().filter(wanted).filter_map(|test| preparing.test(test)));
        complaints.append(&mut preparing.complaints);
    }
    if complaints.is_empty() { Ok(all) } else { Err(complaints) }
}

/// The tests of one file.
struct Preparing<'p> {
    file: &'p TestFile,
    path: &'p TestPath,
    shell: &'p Shell,
    /// Configs that are loaded; `None` where one is wrong, which is said once.
    subjects: Vec<(PathBuf, Option<Arc<Subject>>)>,
    complaints: Vec<Diagnostic>,
}

impl Preparing<'_> {
    fn check_facts(&mut self) {
        for name in self.file.facts.keys() {
            if Facts::names().any(|known| *known == name.value) {
                continue;
            }
            let complaint =
                Diagnostic::new(format!("there is no fact `{name}`"), name.span.clone());
            let hint = match nearest(name, Facts::names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`driftless facts` shows all facts".to_owned(),
            };
            self.complaints.push(complaint.hint(hint));
        }
    }

    fn test(&mut self, test: &Test) -> Option<Prepared> {
        let subject = self.subject(test)?;
        let names = Names::of(&subject.graph);
        let before = self.complaints.len();
        let mut inputs = Vec::new();
        let mut clock = Duration::ZERO;
        let mut offset = 0;
        for given in &test.inputs {
            let after = given.after.map_or(Duration::ZERO, |period| period.0);
            clock = clock.saturating_add(after);
            let batch = given.at.as_ref().and_then(|at| match names.input(at) {
                Ok(name) => {
                    let source = names.sources_above(&name).into_iter().next();
                    let source = source.unwrap_or_else(|| Arc::clone(&name));
                    Some((name, batch(given, source, &subject.env.host, clock, &mut offset)))
                }
                Err(unknown) => {
                    self.complaints.push(misnamed(unknown, at));
                    None
                }
            });
            inputs.push(Input { after, batch });
        }
        let mut expect = Vec::new();
        for expected in &test.expect {
            match names.output(&expected.at) {
                Ok(port) => expect.push((port, expected.clone())),
                Err(unknown) => self.complaints.push(misnamed(unknown, &expected.at)),
            }
        }
        let name = test.name.clone();
        let complete = self.complaints.len() == before;
        complete.then(|| Prepared { name, inputs, expect, subject: Arc::clone(&subject) })
    }

    /// The config that a test is about, loaded once.
    fn subject(&mut self, test: &Test) -> Option<Arc<Subject>> {
        let written = test.config.as_ref().or(self.file.config.as_ref());
        let config = match written {
            Some(config) => {
                let dir = self.path.path.parent().unwrap_or(Path::new("."));
                dir.join(&config.value)
            }
            None => self.path.config.clone(),
        };
        if let Some((_, subject)) = self.subjects.iter().find(|(path, _)| *path == config) {
            return subject.clone();
        }
        let subject = match self.load(&config) {
            Ok(subject) => Some(Arc::new(subject)),
            Err(complaints) => {
                self.complaints.extend(complaints);
                None
            }
        };
        self.subjects.push((config, subject.clone()));
        subject
    }

    fn load(&self, path: &Path) -> Result<Subject, Vec<Diagnostic>> {
        let session = Session::new(&[path.to_owned()]);
        let secret = |name: &str| {
            let told = self.file.secrets.get(name).cloned();
            Some(told.unwrap_or_else(|| format!("stand-in-{name}")))
        };
        let told = self.file.facts.iter().map(|(name, value)| (name.value.as_str(), value));
        let facts = session.facts.again().told(told);
        let host = self.file.host.as_deref().unwrap_or(HOST);
        let config = session.load_as(host, facts, &secret)?;
        self.subject_of(&session, config).map_err(|why| vec![Diagnostic::new(why, None)])
    }

    fn subject_of(&self, session: &Session, config: Config) -> Result<Subject, String> {
        let (mut environment, _) = session.environment(&config, self.shell, true)?;
        environment.keeps_state = false;
        let subject = Subject { graph: config.graph, env: Arc::new(environment) };
        // What is wrong with a transform concerns all tests, and is said once.
        match Trial::new(&subject.graph, &subject.env) {
            Ok(_) => Ok(subject),
            Err(complaints) => {
                Err(complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            }
        }
    }
}

fn misnamed(unknown: Unknown, at: &Spanned<String>) -> Diagnostic {
    let mut complaint = Diagnostic::new(unknown.message, at.span.clone());
    complaint.hint = unknown.hint;
    complaint
}

/// What goes in. Each record has a place in its file that no other has.
fn batch(
    given: &Given,
    source: Arc<str>,
    host: &Arc<str>,
    clock: Duration,
    offset: &mut u64,
) -> Batch {
    if !given.metrics.is_empty() {
        return Batch::Metrics(metrics(&given.metrics));
    }
    let host = given.host.as_deref().map_or_else(|| Arc::clone(host), Arc::from);
    let path = given.path.as_deref().map(Arc::from);
    let origin = Arc::new(Origin { source, host, path, content: 0 });
    let passed = i64::try_from(clock.as_nanos()).unwrap_or(i64::MAX);
    // What is no time was reported when the file was read.
    let told = given.time.as_ref().and_then(|time| time_ns(time).ok());
    let at_ns = told.unwrap_or_else(|| BEGIN_NS.saturating_add(passed));
    let mut text = Vec::new();
    let mut places = Vec::new();
    for record in &given.records {
        let start = text.len();
        text.extend_from_slice(record.as_str().unwrap_or_default().as_bytes());
        places.push((start, text.len()));
        text.push(b'\n');
    }
    let begin = *offset;
    *offset += text.len() as u64;
    let about = (origin, begin, at_ns);
    let mut logs = LogBatch::from_records(Bytes::from(text), &places, None, about);
    if given.records.iter().any(|record| record.as_map().is_some()) {
        let mut records = given.records.iter();
        logs.rewrite(|_, writer| {
            let Some(fields) = records.next().and_then(Node::as_map) else { return Verdict::Keep };
            for (key, value) in fields {
                match &value.value {
                    Value::Null => writer.push_copy(&key.name, FieldRef::Null),
                    Value::Bool { value, .. } => {
                        writer.push_copy(&key.name, FieldRef::Bool(*value));
                    }
                    Value::Int { value, .. } => writer.push_copy(&key.name, FieldRef::Int(*value)),
                    Value::Float { value, .. } => {
                        writer.push_copy(&key.name, FieldRef::Float(*value));
                    }
                    Value::String(text) | Value::Unsafe(text) => {
                        writer.push_text(&key.name, text.as_bytes());
                    }
                    Value::List(_) | Value::Map(_) => {
                        let json = to_json(&from_node(value)).to_string();
                        writer.push_json(&key.name, json.as_bytes());
                    }
                }
            }
            Verdict::Touched
        });
    }
    Batch::Logs(logs)
}

/// The metrics as families, in the order of their names.
fn metrics(given: &[GivenMetric]) -> MetricBatch {
    let mut families: Vec<Family> = Vec::new();
    for metric in given {
        let kind = match metric.kind {
            GivenKind::Counter => MetricKind::Counter,
            GivenKind::Gauge => MetricKind::Gauge,
            GivenKind::Untyped => MetricKind::Untyped,
        };
        let at = families.iter().position(|family| family.name == metric.name);
        let at = at.unwrap_or_else(|| {
            families.push(Family::new(metric.name.clone(), kind, ""));
            families.len() - 1
        });
        let labels = metric.labels.iter();
        let mut labels: Vec<(Text, Text)> =
            labels.map(|(name, value)| (name.clone().into(), value.clone().into())).collect();
        labels.sort();
        families[at].push(labels, metric.value);
    }
    families.sort_by(|a, b| a.name.cmp(&b.name));
    MetricBatch::new(families)
}

impl Prepared {
    /// Runs the test.
    pub(super) fn run(&self) -> Outcome {
        let trial = Trial::new(&self.subject.graph, &self.subject.env);
        let mut trial = match trial {
            Ok(trial) => trial,
            Err(complaints) => {
                return Outcome::broken(complaints.iter().map(ToString::to_string));
            }
        };
        match self.drive(&mut trial) {
            Ok(()) => judge::judge(&self.expect, trial.steps(), &self.subject),
            Err(fault) => Outcome::broken([fault.message].into_iter()),
        }
    }

    fn drive(&self, trial: &mut Trial) -> Result<(), Fault> {
        for input in &self.inputs {
            if !input.after.is_zero() {
                trial.wait(input.after)?;
            }
            if let Some((name, batch)) = &input.batch {
                trial.give(name, batch.clone())?;
            }
        }
        trial.finish()
    }
}
