//! `filter`: leaves records out.

use crate::event::{Batch, Kinds};
use crate::expr::condition::{Bound, Condition, Sense};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use schemars::JsonSchema;
use serde::Deserialize;

/// Leaves records out. What is left out counts as delivered.
///
/// ```yaml
/// errors: {type: filter, keep: level == 'error', inputs: [parsed]}
/// quiet: {type: filter, drop: path is match('/health'), inputs: [errors]}
/// ```
///
/// A comparison with a field that a record does not have does not hold, whichever it is: `keep:
/// level != 'debug'` leaves out lines without a `level` too. To keep them, say `drop: level ==
/// 'debug'`, or `keep: level is not defined or level != 'debug'`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Only records for which this holds go on.
    #[serde(default)]
    pub keep: Option<Condition>,
    /// Records for which this holds are left out.
    #[serde(default)]
    pub drop: Option<Condition>,
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        let constants = cx.env.constants.load();
        Ok(Box::new(Filter::new(self, &constants).map_err(Fault::fatal)?))
    }
}

/// With both conditions, both must let a record pass.
struct Filter {
    tests: Vec<(Bound, Sense)>,
}

impl Filter {
    fn new(
        config: &Config,
        constants: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Self, String> {
        let mut tests = Vec::new();
        for (name, condition, sense) in
            [("keep", &config.keep, Sense::Keep), ("drop", &config.drop, Sense::Drop)]
        {
            if let Some(condition) = condition {
                let bound =
                    condition.bind(constants).map_err(|error| format!("`{name}`: {error}"))?;
                tests.push((bound, sense));
            }
        }
        if tests.is_empty() {
            return Err("a filter needs `keep` or `drop`, such as `keep: status >= 500`".into());
        }
        Ok(Self { tests })
    }
}

impl Transform for Filter {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        let Batch::Logs(mut batch) = batch else {
            out.emit(batch);
            return Ok(());
        };
        for (test, sense) in &self.tests {
            out.count_errors(test.filter(&mut batch, *sense));
        }
        out.emit(Batch::Logs(batch));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::LogBatch;
    use bytes::Bytes;
    use serde_json::Map;
    use std::sync::Arc;

    fn run(yaml: &str, text: &str) -> Vec<String> {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let mut filter = Filter::new(&config, &Map::new()).unwrap();
        let chunk = Bytes::copy_from_slice(text.as_bytes());
        let batch = LogBatch::from_lines(&chunk, Arc::default(), 0, 0);
        let mut out = Outputs::default();
        filter.transform(Batch::Logs(batch), &mut out).unwrap();
        let (emitted, _) = out.take();
        let logs = emitted.into_iter().filter_map(|(_, batch)| match batch {
            Batch::Logs(logs) => Some(logs),
            Batch::Metrics(_) | Batch::Tasks(_) => None,
        });
        let lines = |logs: LogBatch| -> Vec<String> {
            logs.records().map(|line| String::from_utf8_lossy(line.raw()).into_owned()).collect()
        };
        logs.flat_map(lines).collect()
    }

    #[test]
    fn keep_and_drop_leave_what_they_say() {
        let text = "an error\nfine\nan error again\n";
        assert_eq!(run("keep: message is search('error')", text).len(), 2);
        assert_eq!(run("drop: message is search('error')", text), ["fine"]);
        assert_eq!(
            run("{keep: \"'error' in message\", drop: \"'again' in message\"}", text),
            ["an error"]
        );
        assert_eq!(run("keep: false", text).len(), 0);
    }

    #[test]
    fn a_filter_that_says_nothing_is_an_error() {
        let config: Config = serde_yaml::from_str("{}").unwrap();
        assert!(Filter::new(&config, &Map::new()).is_err());
        assert!(serde_yaml::from_str::<Config>("keep: status >=").is_err());
    }
}
