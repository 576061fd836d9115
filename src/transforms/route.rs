//! `route`: parts one stream into several.

use crate::event::{Batch, Kinds};
use crate::expr::condition::{Bound, Condition, Verdict};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Parts one stream into several outputs, each with a condition. The outputs are inputs of
/// others under `NAME.OUTPUT`; what fits nowhere leaves through `NAME.unmatched`.
///
/// ```yaml
/// by_level:
///   type: route
///   routes:
///     errors: level in ['error', 'fatal']
///     slow: duration_ms > 1000
///   inputs: [parsed]
/// ```
///
/// A condition that makes no sense for a record does not hold for it, and is counted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Outputs and their conditions, tried in this order.
    pub routes: IndexMap<String, Condition>,
    /// Where a record goes that fits more than one route.
    #[serde(default, rename = "match")]
    pub matching: Matching,
}

/// Where a record goes that fits more than one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// Into the first one.
    #[default]
    First,
    /// Into all of them.
    All,
}

/// The output for what fits nowhere.
const UNMATCHED: &str = "unmatched";

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn outputs(&self) -> Vec<Arc<str>> {
        self.routes.keys().map(|name| name.as_str().into()).chain([UNMATCHED.into()]).collect()
    }

    fn has_default_output(&self) -> bool {
        false
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        let constants = cx.env.constants.load();
        Ok(Box::new(Route::new(self, &constants).map_err(Fault::fatal)?))
    }
}

struct Route {
    routes: Vec<(Arc<str>, Bound)>,
    unmatched: Arc<str>,
    matching: Matching,
}

impl Route {
    fn new(
        config: &Config,
        constants: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Self, String> {
        if config.routes.contains_key(UNMATCHED) {
            return Err(
                "`unmatched` is the output for what fits nowhere; call the route otherwise".into(),
            );
        }
        let routes = config.routes.iter().map(|(name, condition)| {
            let bound = condition.bind(constants).map_err(|error| format!("`{name}`: {error}"))?;
            Ok((Arc::from(name.as_str()), bound))
        });
        Ok(Self {
            routes: routes.collect::<Result<_, String>>()?,
            unmatched: UNMATCHED.into(),
            matching: config.matching,
        })
    }
}

impl Transform for Route {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        let Batch::Logs(batch) = batch else {
            out.emit_to(&self.unmatched, batch);
            return Ok(());
        };
        let mut placed = vec![false; batch.len()];
        let mut errors = 0;
        for (name, condition) in &self.routes {
            let verdicts = condition.judge(&batch);
            errors += verdicts.iter().filter(|verdict| **verdict == Verdict::Unclear).count();
            let mut part = batch.clone();
            let mut at = 0;
            part.retain_spans(|_, _| {
                let free = self.matching == Matching::All || !placed[at];
                let here = free && verdicts[at] == Verdict::Holds;
                placed[at] |= here;
                at += 1;
                here
            });
            out.emit_to(name, Batch::Logs(part));
        }
        let mut rest = batch;
        let mut placed = placed.into_iter();
        rest.retain_spans(|_, _| placed.next() == Some(false));
        out.emit_to(&self.unmatched, Batch::Logs(rest));
        out.count_errors(errors as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::LogBatch;
    use bytes::Bytes;
    use serde_json::Map;

    fn route(yaml: &str) -> Vec<(String, Vec<String>)> {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let mut route = Route::new(&config, &Map::new()).unwrap();
        let batch =
            LogBatch::from_lines(&Bytes::from_static(b"a\nb\nab\nc\n"), Arc::default(), 0, 0);
        let mut out = Outputs::default();
        route.transform(Batch::Logs(batch), &mut out).unwrap();
        let (emitted, _) = out.take();
        let lines = |batch| match batch {
            Batch::Logs(logs) => logs
                .records()
                .map(|line| String::from_utf8_lossy(line.raw()).into_owned())
                .collect(),
            Batch::Metrics(_) | Batch::Tasks(_) => Vec::new(),
        };
        emitted.into_iter().map(|(name, batch)| (name.to_string(), lines(batch))).collect()
    }

    fn part(name: &str, lines: &[&str]) -> (String, Vec<String>) {
        (name.to_owned(), lines.iter().map(|line| (*line).to_owned()).collect())
    }

    #[test]
    fn a_record_goes_to_the_first_route_that_fits_or_to_all() {
        let routes = "routes: {x: \"'a' in message\", y: \"'b' in message\"}";
        let rest = part("unmatched", &["c"]);
        assert_eq!(route(routes), [part("x", &["a", "ab"]), part("y", &["b"]), rest.clone()]);
        let all = format!("{routes}\nmatch: all");
        assert_eq!(route(&all), [part("x", &["a", "ab"]), part("y", &["b", "ab"]), rest]);
    }

    #[test]
    fn the_outputs_are_the_routes_and_the_rest() {
        let config: Config = serde_yaml::from_str("routes: {x: 'true'}").unwrap();
        assert_eq!(config.outputs(), [Arc::from("x"), Arc::from("unmatched")]);
        let config: Config = serde_yaml::from_str("routes: {unmatched: 'true'}").unwrap();
        assert!(Route::new(&config, &Map::new()).is_err());
    }
}
