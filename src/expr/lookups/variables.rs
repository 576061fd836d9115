//! Look-ups of variables by names that are computed.

use super::{Asked, LookUp};
use crate::expr::pattern::{Options, Pattern};
use crate::expr::suggest;
use minijinja::Error;
use minijinja::value::Value;

pub(super) const TABLE: &[LookUp] = &[
    LookUp::new(
        &["vars"],
        "*names, default=none",
        |asked| asked.names().map(|name| variable(asked, &name)).collect(),
        "Variables by their names.",
        "lookup('vars', 'port_' ~ host)",
    ),
    LookUp::new(
        &["varnames"],
        "*patterns",
        |asked| {
            let known = asked.scope.known_names();
            let mut found: Vec<String> = Vec::new();
            for term in &asked.terms {
                let Some(text) = term.as_str() else {
                    return Err(asked.wrong(format!("takes patterns, and `{term}` is no text")));
                };
                let pattern = Pattern::new(text, Options::default())?;
                for name in &known {
                    if pattern.matches(name, false)? && !found.contains(name) {
                        found.push(name.clone());
                    }
                }
            }
            Ok(found.into_iter().map(Value::from).collect())
        },
        "The names of variables that match patterns.",
        "query('varnames', '^port_')",
    ),
];

fn variable(asked: &Asked<'_>, name: &str) -> Result<Value, Error> {
    let value = asked.scope.lookup(name);
    if !value.is_undefined() {
        crate::expr::call::refuse_undefined(&value)?;
        return Ok(value);
    }
    if let Some(other) = asked.options.get("default") {
        return Ok(other.clone());
    }
    let known = asked.scope.known_names();
    let near = suggest::nearest(name, known.iter().map(String::as_str));
    Err(suggest::error(format!("there is no variable `{name}`"), near))
}
