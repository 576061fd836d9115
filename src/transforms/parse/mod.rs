//! `parse`: turns a line, or the text of a field, into fields.

mod apache_error;
mod auditd;
mod aws;
mod cef;
mod combined;
mod container;
mod csv;
mod emit;
mod format;
mod grok;
mod haproxy;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod json;
mod klog;
mod layout;
mod logfmt;
mod nginx;
mod options;
mod parser;
mod regex;
mod run;
mod syslog;
#[cfg(test)]
mod tests;
mod text;
mod timestamp;
mod w3c;
mod wrong;
mod zone;

use crate::event::Kinds;
use crate::topology::component::{BuildContext, Fault, Transform, TransformConfig};
use emit::Emit;
pub use format::Format;
pub use options::{Character, FieldType, OnBadTime, Timestamp, TimestampSettings};
use run::Parse;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
pub use timestamp::TimeFormat;
use wrong::Wrong;
pub use zone::Timezone;

/// Turns a line, or the text of a field, into fields.
///
/// ```yaml
/// parsed: {type: parse, format: json, timestamp: time, inputs: [app]}
/// access: {type: parse, format: nginx_combined, on_error: route, inputs: [nginx]}
/// custom:
///   type: parse
///   format: grok
///   pattern: '%{LEVEL:level} took %{INT:ms:int} ms at %{GREEDYDATA:at}'
///   patterns: {LEVEL: 'debug|info|warn|error'}
///   timestamp: {field: at, formats: ['%d.%m.%Y %H:%M:%S', unix_ms], timezone: Europe/Berlin}
///   inputs: [app]
/// ```
///
/// A line that was parsed is still written out as it was read, until something changes the
/// record. Where a field was parsed, what it holds takes its place beside the other fields.
///
/// Formats that have a place for a time set the record's time from it. Their field `timestamp`
/// is that time in RFC 3339.
///
/// `logfmt`, `key_value`, `csv`, `ltsv`, `cef` and `w3c` know nothing but text: what is written as
/// JSON writes a number, and not in quotes, becomes a number, unless `types` says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the text looks like.
    pub format: Format,
    /// The field to parse; a line that nothing has parsed yet is `message`.
    #[serde(default = "message")]
    pub field: String,
    /// What becomes of a record that is not of this format. In any case it is counted as an error.
    #[serde(default)]
    pub on_error: OnError,
    /// The field that says what is wrong with a record that is not of this format. With
    /// `on_error: route` it is `parse_error` unless set; with `keep` there is none unless set.
    #[serde(default)]
    pub error_field: Option<String>,
    /// For `regex` and `grok`: the pattern.
    #[serde(default)]
    pub pattern: Option<String>,
    /// For `grok`: patterns of one's own, by the name that stands in `%{NAME}`. They may use
    /// each other and Logstash's.
    #[serde(default)]
    pub patterns: BTreeMap<String, String>,
    /// What fields stand for, where that is not what the text looks like. A text that cannot be
    /// read as such stays text.
    #[serde(default)]
    pub types: BTreeMap<String, FieldType>,
    /// For `csv` (required), `w3c` and `aws_vpc_flow`: the names of the columns, in order.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
    /// For `csv`: one character between cells; `,` unless set. For `key_value`: what stands
    /// between pairs; a blank unless set.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// For `key_value`: what stands between a name and its value; `=` unless set.
    #[serde(default)]
    pub separator: Option<String>,
    /// For `csv`: the character around cells that hold a delimiter; `"` unless set.
    #[serde(default)]
    pub quote: Option<Character>,
    /// The field that holds the record's time, or a mapping that says how it is written.
    #[serde(default)]
    pub timestamp: Option<Timestamp>,
    /// The zone of times that do not say theirs: `local` (the host's), `UTC`, or a name such as
    /// `Europe/Berlin`.
    #[serde(default)]
    pub timezone: Timezone,
    /// Put before the name of each field that is found: `nginx_`.
    #[serde(default)]
    pub prefix: String,
    /// Where all that is found goes as one field, an object; otherwise each is a field of its own.
    #[serde(default)]
    pub target: Option<String>,
    /// Whether the text that was parsed is no field any more. Kept, it is hidden by a field of the
    /// same name, such as the `message` of `syslog`.
    #[serde(default = "yes")]
    pub drop_original: bool,
}

/// What becomes of a record that is not of the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It goes on as it is.
    #[default]
    Keep,
    /// It is left out.
    Drop,
    /// It leaves through the output `NAME.failed`, as it is but for the field that has the reason.
    Route,
}

fn message() -> String {
    "message".into()
}

fn yes() -> bool {
    true
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn outputs(&self) -> Vec<Arc<str>> {
        if self.on_error == OnError::Route { vec![run::FAILED.into()] } else { Vec::new() }
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        Ok(Box::new(Parse::new(self).map_err(Fault::fatal)?))
    }
}
