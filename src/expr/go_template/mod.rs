//! Templates of Prometheus's rules: `{{ $labels.instance }} has {{ $value | humanize }}`.
//!
//! Go's `text/template` as far as labels and annotations of rules need it: variables, pipelines,
//! `if`, `with`, and the functions that Prometheus adds. What asks a server (`query`), goes round
//! in loops (`range`) or defines templates is an error when the template is read.

mod functions;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod parse;
mod printf;
#[cfg(test)]
mod tests;

use crate::expr::promql::Labels;
use functions::call;
use parse::{Block, Command, Node, Pipeline, Term};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is made of one text may have so many bytes.
const LONGEST: usize = 64 << 10;

/// A text with `{{ }}` in it.
#[derive(Clone, Debug)]
pub struct Template(Vec<Node>);

/// What a template can read.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'s> {
    /// `$labels`.
    pub labels: &'s Labels,
    /// `$value`.
    pub value: f64,
}

/// A value within a template.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Float(f64),
    Int(i64),
    Bool(bool),
    Map(Arc<BTreeMap<String, String>>),
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// What is wrong with it, or not there.
    pub fn new(text: &str) -> Result<Self, String> {
        parse::parse(text).map(Self)
    }

    /// The text that becomes of it.
    ///
    /// # Errors
    /// Where a function cannot be computed of what it is given.
    pub fn render(&self, scope: Scope<'_>) -> Result<String, String> {
        let map = |labels: &Labels| {
            let pairs = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
            Value::Map(Arc::new(pairs.collect()))
        };
        let labels = map(scope.labels);
        let fields = BTreeMap::from([("Value".to_owned(), Value::Float(scope.value))]);
        let nothing = map(&Labels::default());
        let mut run = Run {
            out: String::new(),
            variables: vec![
                ("labels".to_owned(), labels.clone()),
                ("externalLabels".to_owned(), nothing.clone()),
                ("externalURL".to_owned(), Value::Text(String::new())),
                ("value".to_owned(), Value::Float(scope.value)),
            ],
            root: [("Labels".to_owned(), labels), ("ExternalLabels".to_owned(), nothing)]
                .into_iter()
                .chain(fields)
                .collect(),
        };
        run.nodes(&self.0, None)?;
        Ok(run.out)
    }
}

struct Run {
    out: String,
    /// The newest last.
    variables: Vec<(String, Value)>,
    /// What `.` has at the beginning.
    root: BTreeMap<String, Value>,
}

impl Run {
    /// `dot` is what `with` has made of `.`.
    fn nodes(&mut self, nodes: &[Node], dot: Option<&Value>) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Show(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    self.out.push_str(&value.shown());
                }
                Node::Let(name, pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    self.variables.push((name.clone(), value));
                }
                Node::Block(block) => self.block(block, dot)?,
            }
            if self.out.len() > LONGEST {
                return Err(too_long());
            }
        }
        Ok(())
    }

    fn block(&mut self, block: &Block, dot: Option<&Value>) -> Result<(), String> {
        let known = self.variables.len();
        let value = self.pipeline(&block.of, dot)?;
        if let Some(name) = &block.variable {
            self.variables.push((name.clone(), value.clone()));
        }
        if value.is_true() {
            let inner = if block.is_with { Some(&value) } else { dot };
            self.nodes(&block.then, inner)?;
        } else {
            self.nodes(&block.otherwise, dot)?;
        }
        // What was set within is unknown behind it.
        self.variables.truncate(known);
        Ok(())
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: Option<&Value>) -> Result<Value, String> {
        let mut piped = None;
        for command in &pipeline.0 {
            piped = Some(self.command(command, dot, piped)?);
        }
        piped.ok_or_else(|| "there is no value".to_owned())
    }

    fn command(
        &self,
        command: &Command,
        dot: Option<&Value>,
        piped: Option<Value>,
    ) -> Result<Value, String> {
        match command {
            Command::Value(term) => self.term(term, dot),
            Command::Call(function, terms) => {
                let mut arguments: Vec<Value> =
                    terms.iter().map(|term| self.term(term, dot)).collect::<Result<_, _>>()?;
                arguments.extend(piped);
                match call(*function, &arguments)? {
                    // Variables could double each other without an end.
                    Value::Text(text) if text.len() > LONGEST => Err(too_long()),
                    value => Ok(value),
                }
            }
        }
    }

    fn term(&self, term: &Term, dot: Option<&Value>) -> Result<Value, String> {
        match term {
            Term::Value(value) => Ok(value.clone()),
            Term::Variable(name, fields) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let (_, value) = known.ok_or_else(|| format!("there is no variable `${name}`"))?;
                fields.iter().try_fold(value.clone(), |value, field| value.field(field))
            }
            Term::Dot(fields) => match (dot, fields.split_first()) {
                (Some(value), _) => {
                    fields.iter().try_fold(value.clone(), |value, field| value.field(field))
                }
                (None, Some((first, rest))) => {
                    let value = self.root.get(first);
                    let value = value.ok_or_else(|| format!("there is no `.{first}`"))?;
                    rest.iter().try_fold(value.clone(), |value, field| value.field(field))
                }
                (None, None) => Err("`.` alone is no text".to_owned()),
            },
            Term::Inner(pipeline, fields) => {
                let value = self.pipeline(pipeline, dot)?;
                fields.iter().try_fold(value, |value, field| value.field(field))
            }
        }
    }
}

fn too_long() -> String {
    format!("the text has more than {LONGEST} bytes")
}

impl Value {
    /// A label that is not there is empty.
    fn field(self, name: &str) -> Result<Self, String> {
        match self {
            Self::Map(map) => Ok(Self::Text(map.get(name).cloned().unwrap_or_default())),
            other => Err(format!("`{}` has no `.{name}`", other.shown())),
        }
    }

    fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Float(value) => *value != 0.0,
            Self::Int(value) => *value != 0,
            Self::Bool(value) => *value,
            Self::Map(map) => !map.is_empty(),
        }
    }

    /// As a template writes it.
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Float(value) => printf::shortest(*value),
            Self::Int(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Map(map) => {
                let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{v}")).collect();
                format!("map[{}]", pairs.join(" "))
            }
        }
    }
}
