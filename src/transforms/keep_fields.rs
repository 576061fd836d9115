//! `keep_fields`: keeps some fields and no others.

use crate::event::log::{NamePattern, Verdict};
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use schemars::JsonSchema;
use serde::Deserialize;

/// Keeps the named fields, in the order named, and takes all others away.
///
/// ```yaml
/// short: {type: keep_fields, fields: [status, path, "geo.*"], inputs: [parsed]}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The fields' names; `*` stands for any number of characters.
    pub fields: Vec<String>,
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        Ok(Box::new(KeepFields::new(&self.fields)))
    }
}

struct KeepFields {
    fields: Vec<NamePattern>,
}

impl KeepFields {
    fn new(fields: &[String]) -> Self {
        Self { fields: fields.iter().map(|name| NamePattern::new(name)).collect() }
    }
}

impl Transform for KeepFields {
    fn transform(&mut self, mut batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        if let Batch::Logs(logs) = &mut batch {
            logs.rewrite(|record, writer| {
                for (at, wanted) in self.fields.iter().enumerate() {
                    let taken = |name: &str| self.fields[..at].iter().any(|field| field.fits(name));
                    if let Some(name) = wanted.exact().filter(|name| !taken(name)) {
                        // The last one counts where a name comes twice.
                        let entries = record.entries().filter(|(known, _)| *known == name);
                        if let Some((name, value)) = entries.last() {
                            writer.push(name, value);
                        }
                    }
                    for (name, value) in record.entries() {
                        if wanted.exact().is_none() && wanted.fits(name) && !taken(name) {
                            writer.push(name, value);
                        }
                    }
                }
                Verdict::Touched
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

    #[test]
    fn only_the_named_fields_are_left_in_the_order_named() {
        let mut batch = LogBatch::from_lines(&Bytes::from_static(b"x\n"), Arc::default(), 0, 0);
        batch.rewrite(|_, writer| {
            for (name, value) in [("a", 1), ("b", 2), ("c", 3), ("a", 4)] {
                writer.push(name, Value::Int(value));
            }
            Verdict::Parsed
        });
        let mut keep = KeepFields::new(&["c*".into(), "a".into(), "missing".into()]);
        let mut out = Outputs::default();
        keep.transform(Batch::Logs(batch), &mut out).unwrap();
        let (mut emitted, _) = out.take();
        let Batch::Logs(batch) = emitted.remove(0).1 else { panic!("no logs") };
        let fields: Vec<_> = batch
            .records()
            .flat_map(|record| record.fields().collect::<Vec<_>>())
            .map(|(name, value)| (name, value.as_number()))
            .collect();
        assert_eq!(fields, [("c", Some(3.0)), ("a", Some(4.0))]);
    }
}
