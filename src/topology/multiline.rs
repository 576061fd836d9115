//! `multiline`: the setting by which sources join lines into records.

use super::settings::{ByteSize, Period};
use crate::event::log::multiline::{Joiner, Mode, Rule};
use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Which lines belong together. Exactly one of `start`, `continuation`, `end` and `mode`.
///
/// ```yaml
/// multiline: {mode: java}
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A record begins with each line that this regular expression matches.
    #[serde(default)]
    pub start: Option<String>,
    /// A line that this regular expression matches belongs to the line before.
    #[serde(default)]
    pub continuation: Option<String>,
    /// A record ends with each line that this regular expression matches.
    #[serde(default)]
    pub end: Option<String>,
    /// A ready-made way.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// How long the last record may wait for more lines while nothing is written, from 10ms to
    /// 1h. Then it is taken as it is.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// The most lines of a record; what follows them is a record of its own.
    #[serde(default = "max_lines")]
    pub max_lines: usize,
    /// The longest record; what follows is a record of its own. No more than `max_line_bytes`.
    #[serde(default = "max_bytes")]
    pub max_bytes: ByteSize,
}

fn timeout() -> Period {
    Period(Duration::from_secs(1))
}

fn max_lines() -> usize {
    1000
}

fn max_bytes() -> ByteSize {
    ByteSize(1 << 20)
}

impl Config {
    /// What joins lines as this says, none longer than `longest` bytes; the error is in a user's
    /// words.
    ///
    /// # Errors
    /// Where not exactly one rule is given, a pattern is none, or a number is out of its range.
    pub fn joiner(&self, longest: ByteSize) -> Result<Joiner, String> {
        let pattern = |name: &str, text: &str| {
            Regex::new(text)
                .map_err(|error| format!("`multiline.{name}` is no regular expression: {error}"))
        };
        let rule = match (&self.start, &self.continuation, &self.end, self.mode) {
            (Some(text), None, None, None) => Rule::Start(pattern("start", text)?),
            (None, Some(text), None, None) => Rule::Continuation(pattern("continuation", text)?),
            (None, None, Some(text), None) => Rule::End(pattern("end", text)?),
            (None, None, None, Some(mode)) => Rule::Mode(mode),
            _ => {
                return Err("`multiline` takes exactly one of `start`, `continuation`, `end` and \
                            `mode`"
                    .to_owned());
            }
        };
        if !(10..=3_600_000).contains(&self.timeout.0.as_millis()) {
            return Err(format!(
                "`multiline.timeout` is {}; it can be from 10ms to 1h",
                self.timeout
            ));
        }
        if self.max_lines == 0 {
            return Err("`multiline.max_lines` is 0; it must be at least 1".to_owned());
        }
        // The default of the one must not forbid a small value of the other.
        let max_bytes = if self.max_bytes == max_bytes() {
            longest.min(self.max_bytes)
        } else {
            self.max_bytes
        };
        if !(1..=longest.0).contains(&max_bytes.0) {
            return Err(format!(
                "`multiline.max_bytes` is {max_bytes}; it can be up to `max_line_bytes`, which \
                 is {longest}"
            ));
        }
        Ok(Joiner::new(rule, self.max_lines, max_bytes.as_usize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(config: &str) -> String {
        let config: Config = serde_json::from_str(config).unwrap();
        config.joiner(ByteSize(1 << 20)).unwrap_err()
    }

    #[test]
    fn exactly_one_rule_that_works_is_taken() {
        assert!(refusal("{}").contains("exactly one"));
        assert!(refusal(r#"{"mode": "java", "start": "x"}"#).contains("exactly one"));
        assert!(refusal(r#"{"start": "("}"#).contains("`multiline.start` is no regular"));
        assert!(refusal(r#"{"end": "x", "timeout": "1ms"}"#).contains("from 10ms"));
        assert!(refusal(r#"{"end": "x", "max_bytes": "2MiB"}"#).contains("max_line_bytes"));
        let config: Config = serde_json::from_str(r#"{"mode": "python"}"#).unwrap();
        assert_eq!(config.joiner(ByteSize(4096)).unwrap().max_bytes(), 4096);
    }
}
