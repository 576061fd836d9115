//! What a file of pipeline tests may say: records that go in, and what is expected of them.

use super::read::{Dialect, read_file};
use crate::event::de::{Spanned, from_node};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Node, Span, Value};
use crate::topology::settings::Period;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;

/// Tests of a pipeline (`tests/*.yml`), run by `driftless test`. The config's own transforms do
/// the work; no source reads, no sink sends, and time passes only where a test says so.
///
/// ```yaml
/// tests:
///   - name: server errors are kept
///     inputs:
///       - at: nginx
///         records: ['10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET /a HTTP/1.1" 503 7 "-" "curl"']
///     expect:
///       - at: archive
///         contains: [{status: 503, path: /a}]
/// ```
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestFile {
    /// The config that is tested, a directory or a file, counted from this file's directory.
    /// Default: what `--config` says, else the directory that holds `tests`.
    pub config: Option<Spanned<String>>,
    /// The node's name, where `agent.yml` gives none. Default: `test-host`.
    pub host: Option<String>,
    /// Facts as if the host had them; all others are those of this host.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, serde_json::Value>")]
    pub facts: IndexMap<Spanned<String>, serde_json::Value>,
    /// Values of secrets. The real ones are never read; each that is not named here is
    /// `stand-in-NAME`.
    #[serde(default)]
    pub secrets: IndexMap<String, String>,
    /// The tests.
    pub tests: Vec<Test>,
}

/// One test. Each begins with a pipeline that has seen nothing yet.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What it shows.
    pub name: Spanned<String>,
    /// Another config than that of the file.
    #[serde(default)]
    pub config: Option<Spanned<String>>,
    /// What goes in, in order. Then all input ends, so that what transforms hold comes out.
    pub inputs: Vec<Given>,
    /// What must be true of it.
    pub expect: Vec<Expected>,
}

/// Records that go in together, as one batch.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// The component that they go into: a source, as if it had read them, or a transform. Names
    /// are those of `driftless graph`; `logs.` before them may be left out.
    #[serde(default)]
    pub at: Option<Spanned<String>>,
    /// Lines as text, or records that are parsed already as mappings of their fields.
    #[serde(default)]
    #[schemars(with = "Vec<LineOrFields>")]
    pub records: Vec<Node>,
    /// Metrics, for transforms that take those.
    #[serde(default)]
    pub metrics: Vec<GivenMetric>,
    /// The file that they are said to come from. Default: none.
    #[serde(default)]
    pub path: Option<String>,
    /// The node that they are said to come from. Default: that of the config.
    #[serde(default)]
    pub host: Option<String>,
    /// When they are read, as RFC 3339 has it, which is their time until a transform finds
    /// another one. Default: `2026-01-01T00:00:00Z`, and what has passed since the test began.
    #[serde(default)]
    pub time: Option<Spanned<String>>,
    /// How much later than what is before it in the list. Without `at` only time passes.
    #[serde(default)]
    pub after: Option<Period>,
}

/// A metric that goes in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenMetric {
    /// Its name.
    pub name: String,
    /// What kind of number it is.
    #[serde(default)]
    pub kind: GivenKind,
    /// Its labels.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// Kinds of metrics that are one number.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GivenKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    #[default]
    Gauge,
    /// Nobody said.
    Untyped,
}

/// What is expected at one place. All that is said must hold.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// What a source or transform gives, or one of its outputs (`parsed.failed`); for a sink,
    /// what it would get. Names are those of `driftless graph`; `logs.` may be left out.
    pub at: Spanned<String>,
    /// Exactly these records, in this order. Text is a record that still is this line; a mapping
    /// is a record with these fields and no others. A metric has the fields `name`, `kind`,
    /// `labels` and `value` (`buckets` or `quantiles`, `sum` and `count`).
    #[serde(default)]
    #[schemars(with = "Option<Vec<LineOrFields>>")]
    pub records: Option<Vec<Node>>,
    /// For each of these some record with these fields, and maybe others.
    #[serde(default)]
    #[schemars(with = "Vec<LineOrFields>")]
    pub contains: Vec<Node>,
    /// A condition, or several, that each record fulfils; there must be one.
    #[serde(default)]
    #[schemars(with = "Option<OneOrMany>")]
    pub each: Option<Node>,
    /// A condition, or several, for each of which some record fulfils it.
    #[serde(default)]
    #[schemars(with = "Option<OneOrMany>")]
    pub any: Option<Node>,
    /// How many records there are.
    #[serde(default)]
    pub count: Option<usize>,
    /// That there is no record (`true`), or at least one (`false`).
    #[serde(default)]
    pub none: Option<bool>,
    /// The records' times, in order, as RFC 3339 has them.
    #[serde(default)]
    pub times: Option<Vec<Spanned<String>>>,
}

/// A line, or fields with their values.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is of use")]
enum LineOrFields {
    Line(String),
    Fields(IndexMap<String, serde_json::Value>),
}

/// A condition, or a list of them.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is of use")]
enum OneOrMany {
    One(crate::expr::condition::Condition),
    Many(Vec<crate::expr::condition::Condition>),
}

impl TestFile {
    /// Reads a file of tests.
    ///
    /// # Errors
    /// Everything that is wrong with it, with places.
    pub fn read(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let node = read_file(path, Dialect::Yaml12)?;
        let file: Self = from_node(&node, "this file")?;
        let complaints: Vec<_> = file.tests.iter().flat_map(Test::complaints).collect();
        if complaints.is_empty() { Ok(file) } else { Err(complaints) }
    }
}

impl Test {
    fn complaints(&self) -> Vec<Diagnostic> {
        let mut complaints = Vec::new();
        if self.inputs.is_empty() {
            let message = format!("the test `{}` has no `inputs`", self.name);
            complaints.push(Diagnostic::new(message, self.name.span.clone()));
        }
        if self.expect.is_empty() {
            let message = format!("the test `{}` expects nothing", self.name);
            complaints.push(Diagnostic::new(message, self.name.span.clone()));
        }
        for given in &self.inputs {
            given.complain(self.name.span.as_ref(), &mut complaints);
        }
        for expected in &self.expect {
            expected.complain(&mut complaints);
        }
        complaints
    }
}

impl Given {
    fn complain(&self, test: Option<&Span>, complaints: &mut Vec<Diagnostic>) {
        let empty = self.records.is_empty() && self.metrics.is_empty();
        match &self.at {
            Some(at) if empty => {
                let message = format!("nothing goes into `{at}`");
                let hint = "give it `records` or `metrics`";
                complaints.push(Diagnostic::new(message, at.span.clone()).hint(hint));
            }
            Some(at) if !self.records.is_empty() && !self.metrics.is_empty() => {
                let message = "`records` and `metrics` cannot go in together";
                complaints.push(Diagnostic::new(message, at.span.clone()));
            }
            None if !empty => {
                let place = self.records.first().and_then(|record| record.span.clone());
                let message = "nothing says where these go in";
                let place = place.or_else(|| test.cloned());
                complaints.push(Diagnostic::new(message, place).hint("name it: `at: SOURCE`"));
            }
            None if self.after.is_none() => {
                let message = "an input has neither records nor `after`";
                complaints.push(Diagnostic::new(message, test.cloned()));
            }
            Some(_) | None => {}
        }
        check_records(&self.records, complaints);
        complaints.extend(self.time.iter().filter_map(|time| time_ns(time).err()));
    }
}

impl Expected {
    fn complain(&self, complaints: &mut Vec<Diagnostic>) {
        let says_something = self.records.is_some()
            || !self.contains.is_empty()
            || self.each.is_some()
            || self.any.is_some()
            || self.count.is_some()
            || self.none.is_some()
            || self.times.is_some();
        if !says_something {
            let message = format!("nothing is expected of `{}`", self.at);
            let hint = "say `records`, `contains`, `each`, `any`, `count`, `times` or `none`";
            complaints.push(Diagnostic::new(message, self.at.span.clone()).hint(hint));
        }
        for records in [self.records.as_ref(), Some(&self.contains)].into_iter().flatten() {
            check_records(records, complaints);
        }
        for (name, conditions) in [("each", &self.each), ("any", &self.any)] {
            let Some(node) = conditions else { continue };
            complaints.extend(conditions_of(name, node).filter_map(Result::err));
        }
        let times = self.times.iter().flatten();
        complaints.extend(times.filter_map(|time| time_ns(time).err()));
    }
}

/// Each record is a line or a mapping.
fn check_records(records: &[Node], complaints: &mut Vec<Diagnostic>) {
    for record in records {
        if record.as_map().is_none() && record.as_str().is_none() {
            let message = format!("found {}, expected a line or a record's fields", record.kind());
            let mut complaint = Diagnostic::new(message, record.span.clone());
            if record.scalar_text().is_some() {
                complaint = complaint.hint("put quotes around it");
            }
            complaints.push(complaint);
        }
    }
}

/// The time that a text says, in nanoseconds since the epoch.
///
/// # Errors
/// Where it says none.
pub fn time_ns(time: &Spanned<String>) -> Result<i64, Diagnostic> {
    crate::event::time::parse_rfc3339(time.as_bytes()).ok_or_else(|| {
        let message = format!("found `{time}`, expected a time such as `2026-01-31T12:00:00Z`");
        Diagnostic::new(message, time.span.clone())
    })
}

/// A condition with its place.
pub type Placed = (crate::expr::condition::Condition, Option<Span>);

/// The conditions under the key `name`: one, or a list.
pub fn conditions_of<'n>(
    name: &'n str,
    node: &'n Node,
) -> impl Iterator<Item = Result<Placed, Diagnostic>> + 'n {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    items.iter().map(move |item| {
        let text = item.scalar_text().ok_or_else(|| {
            let message = format!(
                "`{name}`: found {}, expected an expression such as `status >= 500`",
                item.kind()
            );
            Diagnostic::new(message, item.span.clone())
        })?;
        match text.parse() {
            Ok(condition) => Ok((condition, item.span.clone())),
            Err(unfit) => Err(Diagnostic::new(format!("`{name}`: {unfit}"), item.span.clone())),
        }
    })
}
