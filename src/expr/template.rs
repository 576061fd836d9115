//! Values of fields that are made from other fields.

use super::jinja::{is_template, sole_expression};
use super::record::{Made, Names};
use crate::event::log::LogBatch;
use minijinja::{Environment, Error};
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// A value as a config has it: text with `{{ braces }}` is computed for every record, anything
/// else is what it is.
#[derive(Debug)]
pub struct Template {
    names: Arc<Names>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// The same for every record.
    Constant(Made),
    /// One pair of braces and nothing else: the expression's own value, of whatever type.
    Expression(String),
    /// Text with something in it.
    Text(String),
}

impl Template {
    /// Reads a value; `constants` has `facts`, `vars` and `host`.
    ///
    /// # Errors
    /// Where the text between braces is not valid Jinja; says what was expected.
    pub fn new(value: &Json, constants: &Map<String, Json>) -> Result<Self, String> {
        let names = Names::new(constants);
        let form = match value {
            Json::String(text) if is_template(text) => check(names.environment(), text)?,
            Json::String(text) => Form::Constant(Made::Text(text.clone())),
            other => Form::Constant(Made::Json(other.to_string())),
        };
        Ok(Self { names, form })
    }

    /// The value for each record, in order; `None` where it could not be computed, which is
    /// mostly because a field is missing.
    pub fn values(&self, batch: &LogBatch) -> Vec<Option<Made>> {
        let environment = self.names.environment();
        let held = Arc::new(batch.clone());
        let scope =
            |record: crate::event::log::RecordRef<'_>| self.names.with(record.held_by(&held));
        match &self.form {
            Form::Constant(made) => vec![Some(made.clone()); batch.len()],
            Form::Expression(text) => {
                let compiled = environment.compile_expression(text).ok();
                let value = |record| Made::of(&compiled.as_ref()?.eval(scope(record)).ok()?);
                batch.records().map(value).collect()
            }
            Form::Text(text) => {
                let compiled = environment.template_from_str(text).ok();
                let value =
                    |record| Some(Made::Text(compiled.as_ref()?.render(scope(record)).ok()?));
                batch.records().map(value).collect()
            }
        }
    }
}

fn check(environment: &Environment<'_>, text: &str) -> Result<Form, String> {
    if let Some(inner) = sole_expression(text)
        && environment.compile_expression(inner).is_ok()
    {
        return Ok(Form::Expression(inner.to_owned()));
    }
    let unfit = |error: Error| {
        let detail = error.detail().map_or_else(|| error.to_string(), str::to_owned);
        format!("`{text}` is not valid Jinja: {detail}")
    };
    environment.template_from_str(text).map_err(unfit)?;
    Ok(Form::Text(text.to_owned()))
}
