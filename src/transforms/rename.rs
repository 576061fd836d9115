//! `rename`: gives fields other names.

use crate::event::log::Verdict;
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// Gives fields other names. A field that had the new name before gives way; a record that has
/// none of the old names stays as it was read.
///
/// ```yaml
/// ecs: {type: rename, fields: {remote_addr: client.ip, status: http.response.status_code}, inputs: [parsed]}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Old names and new names.
    pub fields: IndexMap<String, String>,
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        Ok(Box::new(Rename { fields: self.fields.clone() }))
    }
}

struct Rename {
    fields: IndexMap<String, String>,
}

impl Transform for Rename {
    fn transform(&mut self, mut batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        if let Batch::Logs(logs) = &mut batch {
            logs.rewrite(|record, writer| {
                // New names that this record really gets.
                let taken = |name: &str| {
                    self.fields.iter().any(|(old, new)| new == name && record.get(old).is_some())
                };
                let mut verdict = Verdict::Keep;
                for (name, value) in record.entries() {
                    match self.fields.get(name) {
                        Some(new) => {
                            writer.push(new, value);
                            verdict = Verdict::Touched;
                        }
                        None if taken(name) => {}
                        None => writer.push(name, value),
                    }
                }
                verdict
            });
        }
        out.emit(batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::{LogBatch, Value};
    use bytes::Bytes;
    use std::sync::Arc;

    fn renamed(yaml: &str, names: &[&str]) -> Vec<(String, serde_json::Value)> {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let mut batch = LogBatch::from_lines(&Bytes::from_static(b"x\n"), Arc::default(), 0, 0);
        batch.rewrite(|_, writer| {
            for (name, number) in names.iter().zip(0..) {
                writer.push(name, Value::Int(number));
            }
            Verdict::Parsed
        });
        let mut out = Outputs::default();
        Rename { fields: config.fields }.transform(Batch::Logs(batch), &mut out).unwrap();
        let (mut emitted, _) = out.take();
        let Batch::Logs(batch) = emitted.remove(0).1 else { panic!("no logs") };
        let record = batch.records().next().unwrap();
        record.fields().map(|(name, value)| (name.to_owned(), value.to_json())).collect()
    }

    #[test]
    fn names_change_places_stay_and_nothing_is_there_twice() {
        let pair = |name: &str, number: i32| (name.to_owned(), number.into());
        let names = ["a", "b", "c"];
        assert_eq!(renamed("fields: {a: x}", &names), [pair("x", 0), pair("b", 1), pair("c", 2)]);
        assert_eq!(renamed("fields: {a: c}", &names), [pair("c", 0), pair("b", 1)]);
        assert_eq!(
            renamed("fields: {a: b, b: a}", &names),
            [pair("b", 0), pair("a", 1), pair("c", 2)]
        );
        assert_eq!(renamed("fields: {z: c}", &names), [pair("a", 0), pair("b", 1), pair("c", 2)]);
    }
}
