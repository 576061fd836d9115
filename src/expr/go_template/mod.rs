//! Templates of Prometheus's rules: `{{ $labels.instance }} has {{ $value | humanize }}`.
//!
//! Go's `text/template` as far as labels and annotations of rules need it: variables, pipelines,
//! `if`, `with`, `range`, and the functions that Prometheus adds, `query` among them. What defines
//! templates is an error when a template is read.

mod functions;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod parse;
mod printf;
mod queries;
#[cfg(test)]
mod tests;
mod value;

use crate::expr::promql::{Element, Labels};
use functions::{Function, call};
use parse::{Block, Command, Node, Pipeline, Term, Way};
pub use queries::HOLE;
use std::collections::BTreeMap;
use std::sync::Arc;
use value::{Sample, Value};

/// What is made of one text may have so many bytes.
const LONGEST: usize = 64 << 10;
/// How often what stands in `range` is gone through, at most.
const MOST_TURNS: usize = 10_000;

/// A text with `{{ }}` in it.
#[derive(Clone, Debug)]
pub struct Template(Vec<Node>);

/// What a template can read.
#[derive(Clone, Copy)]
pub struct Scope<'s> {
    /// `$labels`.
    pub labels: &'s Labels,
    /// `$value`.
    pub value: f64,
    /// What `query` gives.
    pub ask: &'s dyn Fn(&str) -> Result<Vec<Element>, String>,
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// What is wrong with it, or not there.
    pub fn new(text: &str) -> Result<Self, String> {
        parse::parse(text).map(Self)
    }

    /// What its `query` asks, so that it is known of which series values are needed: each text is
    /// an expression, in which [`HOLE`] stands for what `printf` puts there.
    ///
    /// # Errors
    /// Where that cannot be known before.
    pub fn queries(&self) -> Result<Vec<String>, String> {
        queries::of(&self.0)
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
            ask: scope.ask,
            turns: 0,
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

struct Run<'s> {
    out: String,
    ask: &'s dyn Fn(&str) -> Result<Vec<Element>, String>,
    /// How often something in `range` was gone through.
    turns: usize,
    /// The newest last.
    variables: Vec<(String, Value)>,
    /// What `.` has at the beginning.
    root: BTreeMap<String, Value>,
}

impl Run<'_> {
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
        if block.way == Way::Range {
            self.range(block, &value, dot)?;
        } else {
            let variables = block.variables.iter().cloned();
            self.variables.extend(variables.map(|name| (name, value.clone())));
            if value.is_true() {
                let inner = if block.way == Way::With { Some(&value) } else { dot };
                self.nodes(&block.then, inner)?;
            } else {
                self.nodes(&block.otherwise, dot)?;
            }
        }
        // What was set within is unknown behind it.
        self.variables.truncate(known);
        Ok(())
    }

    /// Goes through what is in a value, each time with its place or name and itself.
    fn range(&mut self, block: &Block, of: &Value, dot: Option<&Value>) -> Result<(), String> {
        let items = of.items()?;
        if items.is_empty() {
            return self.nodes(&block.otherwise, dot);
        }
        let known = self.variables.len();
        for (key, item) in items {
            self.turns += 1;
            if self.turns > MOST_TURNS {
                return Err(format!("`range` goes round more than {MOST_TURNS} times"));
            }
            match block.variables.as_slice() {
                [of_item] => self.variables.push((of_item.clone(), item.clone())),
                [of_key, of_item, ..] => {
                    self.variables.push((of_key.clone(), key));
                    self.variables.push((of_item.clone(), item.clone()));
                }
                [] => {}
            }
            self.nodes(&block.then, Some(&item))?;
            self.variables.truncate(known);
        }
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
                if *function == Function::Query {
                    let text = arguments.first().map(Value::shown).unwrap_or_default();
                    return Ok(Value::List((self.ask)(&text)?.iter().map(Sample::of).collect()));
                }
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
