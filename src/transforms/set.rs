//! `set`: gives fields a value.

use crate::event::log::{FieldRef, LogBatch, Value, Verdict};
use crate::event::{Batch, Kinds};
use crate::expr::template::Template;
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// Gives fields a value: new ones, or others in place of those they have.
///
/// ```yaml
/// tagged:
///   type: set
///   fields:
///     env: production
///     slow: "{{ duration_ms > 1000 }}"
///     summary: "{{ method }} {{ path }} took {{ duration_ms }} ms"
///   types: {status: int}
///   inputs: [parsed]
/// ```
///
/// All values are computed from the record as it came. A value that is one pair of braces keeps
/// its type. Where a value cannot be computed, mostly since a field is missing, the field stays as
/// it is, and the record is counted among the errors.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Names and values; text with `{{ braces }}` is computed for each record.
    #[serde(default)]
    pub fields: IndexMap<String, Json>,
    /// Names of fields, and what their values become after that. A value that cannot be converted
    /// stays as it is, and the record is counted among the errors.
    #[serde(default)]
    pub types: IndexMap<String, Type>,
}

/// What a value is converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// Text, as people write the value.
    Text,
    /// A whole number; a fraction is cut off.
    Int,
    /// A number.
    Float,
    /// True for `true`, `yes`, `on` and `1`, false for `false`, `no`, `off` and `0`.
    Bool,
}

impl Type {
    /// The value as this; `None` where that makes no sense, or where it is that already.
    fn convert(self, value: FieldRef<'_>) -> Option<Value> {
        let text = value.as_text();
        let text = text.as_deref().map(|text| std::str::from_utf8(text).unwrap_or_default().trim());
        let number = || match text {
            Some(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            None => value.as_bool().map(|it| f64::from(u8::from(it))).or(value.as_number()),
        };
        match self {
            Self::Text => None,
            Self::Int => {
                if let Some(whole) = text.and_then(|text| text.parse().ok()) {
                    return Some(Value::Int(whole));
                }
                #[expect(clippy::cast_possible_truncation, reason = "that is what is asked for")]
                number().map(|number| Value::Int(number as i64))
            }
            Self::Float => number().map(Value::Float),
            Self::Bool => match text {
                Some(text) => {
                    let is =
                        |words: [&str; 4]| words.iter().any(|it| it.eq_ignore_ascii_case(text));
                    let is_true = is(["true", "yes", "on", "1"]);
                    (is_true || is(["false", "no", "off", "0"])).then_some(Value::Bool(is_true))
                }
                None => value.as_bool().or(value.as_number().map(|it| it != 0.0)).map(Value::Bool),
            },
        }
    }
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        let constants = cx.env.constants.load();
        Ok(Box::new(Set::new(self, &constants).map_err(Fault::fatal)?))
    }
}

struct Set {
    fields: Vec<(String, Template)>,
    types: IndexMap<String, Type>,
}

impl Set {
    fn new(config: &Config, constants: &Map<String, Json>) -> Result<Self, String> {
        let fields = config.fields.iter().map(|(name, value)| {
            let template = Template::new(value, constants);
            Ok((name.clone(), template.map_err(|error| format!("`{name}`: {error}"))?))
        });
        let fields = fields.collect::<Result<Vec<_>, String>>()?;
        if fields.is_empty() && config.types.is_empty() {
            return Err("expected `fields` to set, or `types` to convert to".into());
        }
        Ok(Self { fields, types: config.types.clone() })
    }

    /// Sets the fields, and says for how many records that was not possible in full.
    fn set(&self, batch: &mut LogBatch) -> u64 {
        let unset = if self.fields.is_empty() { 0 } else { self.set_fields(batch) };
        unset + if self.types.is_empty() { 0 } else { self.convert(batch) }
    }

    fn convert(&self, batch: &mut LogBatch) -> u64 {
        let mut errors = 0;
        let mut text = Vec::new();
        batch.rewrite(|record, writer| {
            let mut verdict = Verdict::Keep;
            let mut failed = false;
            for (name, value) in record.entries() {
                let Some(to) = self.types.get(name) else {
                    writer.push(name, value);
                    continue;
                };
                let old = record.batch().value(value);
                if *to == Type::Text && old.as_text().is_none() {
                    text.clear();
                    old.write_display(&mut text);
                    writer.push_text(name, &text);
                    verdict = Verdict::Touched;
                } else if let Some(new) = to.convert(old) {
                    writer.push(name, new);
                    verdict = Verdict::Touched;
                } else {
                    failed |= *to != Type::Text && !old.is_null();
                    writer.push(name, value);
                }
            }
            errors += u64::from(failed);
            verdict
        });
        errors
    }

    fn set_fields(&self, batch: &mut LogBatch) -> u64 {
        let mut columns: Vec<_> = self
            .fields
            .iter()
            .map(|(name, template)| (name.as_str(), template.values(batch).into_iter()))
            .collect();
        let mut errors = 0;
        // Both are used again for each record.
        let (mut values, mut written) = (Vec::new(), Vec::new());
        batch.rewrite(|record, writer| {
            values.clear();
            values.extend(
                columns
                    .iter_mut()
                    .filter_map(|(name, rest)| rest.next().flatten().map(|value| (*name, value))),
            );
            errors += u64::from(values.len() < self.fields.len());
            if values.is_empty() {
                return Verdict::Keep;
            }
            written.clear();
            written.resize(values.len(), false);
            let mut fits = |name: &str| {
                let at = values.iter().position(|(new, _)| *new == name)?;
                Some((&values[at].1, std::mem::replace(&mut written[at], true)))
            };
            if record.is_unparsed() {
                match fits("message") {
                    Some((value, _)) => writer.push_copy("message", value.as_ref()),
                    None => writer.push("message", record.text_at(record.message())),
                }
            }
            let keys = record.batch().keys();
            for field in record.stored_fields() {
                match fits(keys.name(field.key)) {
                    None => writer.push_field(*field),
                    Some((_, true)) => {}
                    Some((value, false)) => writer.push_copy(keys.name(field.key), value.as_ref()),
                }
            }
            for ((name, value), written) in values.iter().zip(&written) {
                if !written {
                    writer.push_copy(name, value.as_ref());
                }
            }
            Verdict::Touched
        });
        errors
    }
}

impl Transform for Set {
    fn transform(&mut self, mut batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        if let Batch::Logs(logs) = &mut batch {
            out.count_errors(self.set(logs));
        }
        out.emit(batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::json;
    use std::sync::Arc;

    fn set(yaml: &str, text: &str) -> (Json, u64) {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let constants = json!({"facts": {"cores": 4}, "host": "web1", "vars": {"env": "test"}});
        let set = Set::new(&config, constants.as_object().unwrap()).unwrap();
        let chunk = Bytes::copy_from_slice(text.as_bytes());
        let mut batch = LogBatch::from_lines(&chunk, Arc::default(), 0, 0);
        let errors = set.set(&mut batch);
        let record = batch.records().next().unwrap();
        let fields = record.fields().map(|(name, value)| (name.to_owned(), value.to_json()));
        (Json::Object(fields.collect()), errors)
    }

    #[test]
    fn values_are_computed_from_the_record_and_keep_their_type() {
        let yaml = "fields: {a: 5, b: x, c: '{{ message | length }}', d: '{{ host }}/{{ message }}', \
                    e: '{{ facts.cores > 3 }}', f: '{{ [env, none] }}', g: [1, {h: '{{ x }}'}]}";
        let expected = json!({
            "message": "line", "a": 5, "b": "x", "c": 4, "d": "web1/line", "e": true,
            "f": ["test", null], "g": [1, {"h": "{{ x }}"}],
        });
        assert_eq!(set(yaml, "line"), (expected, 0));
    }

    #[test]
    fn a_field_is_replaced_by_what_is_made_of_it() {
        let yaml = "fields: {message: '{{ message | upper }}', was: '{{ message }}'}";
        assert_eq!(set(yaml, "line"), (json!({"message": "LINE", "was": "line"}), 0));
    }

    #[test]
    fn what_cannot_be_computed_leaves_the_field_alone_and_is_counted() {
        let yaml = "fields: {message: '{{ nope }}', a: 'x {{ nope.deep }}', b: 1}";
        assert_eq!(set(yaml, "line"), (json!({"message": "line", "b": 1}), 1));
    }

    #[test]
    fn values_become_what_types_asks_for() {
        let yaml = "{fields: {i: '12', f: '0.5', b: 'Yes', t: 3, x: 'no number'}, \
                    types: {i: int, f: float, b: bool, t: text, x: int, missing: int}}";
        let expected =
            json!({"message": "line", "i": 12, "f": 0.5, "b": true, "t": "3", "x": "no number"});
        assert_eq!(set(yaml, "line"), (expected, 1));
    }

    #[test]
    fn a_value_that_is_no_jinja_is_an_error_that_names_it() {
        let config: Config = serde_yaml::from_str("fields: {a: '{{ x + }}'}").unwrap();
        let error = Set::new(&config, &Map::new()).map(drop).unwrap_err();
        assert!(error.starts_with("`a`: `{{ x + }}` is not valid Jinja: "), "{error}");
    }
}
