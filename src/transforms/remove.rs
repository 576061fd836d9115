//! `remove`: takes fields away.

use crate::event::log::{NamePattern, Verdict};
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use schemars::JsonSchema;
use serde::Deserialize;

/// Takes fields away. A record that has none of them stays as it was read.
///
/// ```yaml
/// slim: {type: remove, fields: [http_referer, http_user_agent], inputs: [parsed]}
/// short: {type: remove, fields: ["kubernetes.*", "*_debug"], inputs: [slim]}
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
        Ok(Box::new(Remove::new(&self.fields)))
    }
}

struct Remove {
    fields: Vec<NamePattern>,
}

impl Remove {
    fn new(fields: &[String]) -> Self {
        Self { fields: fields.iter().map(|name| NamePattern::new(name)).collect() }
    }
}

impl Transform for Remove {
    fn transform(&mut self, mut batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        if let Batch::Logs(logs) = &mut batch {
            let gone = |name: &str| self.fields.iter().any(|field| field.fits(name));
            logs.rewrite(|record, writer| {
                let mut verdict = Verdict::Keep;
                for (name, value) in record.entries() {
                    if gone(name) {
                        verdict = Verdict::Touched;
                    } else {
                        writer.push(name, value);
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

    #[test]
    fn only_records_that_have_the_field_are_touched() {
        let mut batch = LogBatch::from_lines(&Bytes::from_static(b"1\n2\n"), Arc::default(), 0, 0);
        batch.rewrite(|record, writer| {
            writer.push("n", Value::Int(1));
            if record.raw() == b"2" {
                writer.push("secret", Value::Int(2));
            }
            Verdict::Parsed
        });
        let mut remove = Remove::new(&["sec*".into()]);
        let mut out = Outputs::default();
        remove.transform(Batch::Logs(batch), &mut out).unwrap();
        let (mut emitted, _) = out.take();
        let Batch::Logs(batch) = emitted.remove(0).1 else { panic!("no logs") };
        let records: Vec<_> = batch.records().collect();
        assert!(records[0].is_untouched() && !records[1].is_untouched());
        assert!(records[1].get("secret").is_none() && records[1].get("n").is_some());
    }
}
