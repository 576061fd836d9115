//! `lookup`: adds what a table says about a record.

mod table;
#[cfg(test)]
mod tests;

use crate::event::log::{FieldWriter, Kept, LogBatch, RecordRef, Verdict};
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use std::path::PathBuf;
use table::{Rows, Table};

/// Adds what a table says about a record: the owner of a host, the country of an address, the
/// meaning of a code.
///
/// ```yaml
/// owners:
///   type: lookup
///   file: files/hosts.csv            # hostname,team,tier
///   key: {host_name: hostname}       # the record's field, and the table's column
///   add: {team: owner.team}          # the table's column, and the record's new field
///   default: {owner.team: nobody}
///   inputs: [parsed]
/// countries:
///   type: lookup
///   file: files/networks.json        # [{"network": "10.0.0.0/8", "country": "-"}, …]
///   key: {client_ip: network}
///   match: network
///   inputs: [owners]
/// ```
///
/// A table is a CSV file with the columns' names in its first line, or a JSON file with a list of
/// objects. Its path counts from the config file that names it. It is read at the start, and again
/// by a reload once it has changed; a change in the config's own `files` folder brings one about.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The table.
    pub file: PathBuf,
    /// The record's fields that are looked up, and the columns that must have their values.
    pub key: IndexMap<String, String>,
    /// When a row fits.
    #[serde(default, rename = "match")]
    pub matching: Matching,
    /// Whether upper and lower case of `key` are the same.
    #[serde(default)]
    pub ignore_case: bool,
    /// The columns to add, and the fields that they become. Without it all columns but those of
    /// `key` become fields of the same name. A field that is there already gives way; a cell that
    /// is empty adds nothing.
    #[serde(default)]
    pub add: Option<IndexMap<String, String>>,
    /// Fields and values for records that no row fits.
    #[serde(default)]
    pub default: IndexMap<String, Json>,
}

/// When a row fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// The values are the same.
    #[default]
    Exact,
    /// The field is an IP address in the network that the column holds (`10.0.0.0/8`); the
    /// narrowest one counts.
    Network,
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        let bytes = cx.read_file(&self.file)?;
        let lookup = Lookup::new(self, &bytes)
            .map_err(|reason| Fault::fatal(format!("`{}`: {reason}", self.file.display())))?;
        Ok(Box::new(lookup))
    }
}

struct Lookup {
    key: Vec<String>,
    /// The new fields' names.
    names: Vec<String>,
    table: Table,
    default: Vec<(String, Kept)>,
    scratch: Vec<u8>,
}

impl Lookup {
    fn new(config: &Config, bytes: &[u8]) -> Result<Self, String> {
        if config.key.is_empty() {
            return Err("`key` is empty, expected a field and a column".into());
        }
        if config.matching == Matching::Network && config.key.len() > 1 {
            return Err("`match: network` takes one field in `key`".into());
        }
        let rows = Rows::read(bytes)?;
        let column = |name: &String| {
            rows.column(name).ok_or_else(|| {
                let known = rows.columns.join(", ");
                format!("there is no column `{name}`; the table has {known}")
            })
        };
        let keys = config.key.values().map(column).collect::<Result<Vec<_>, _>>()?;
        let (added, names): (Vec<usize>, Vec<String>) = match &config.add {
            Some(add) => {
                let columns = add.keys().map(column).collect::<Result<Vec<_>, _>>()?;
                (columns, add.values().cloned().collect())
            }
            None => (0..rows.columns.len())
                .filter(|at| !keys.contains(at))
                .map(|at| (at, rows.columns[at].clone()))
                .unzip(),
        };
        let of_json = |(name, value): (&String, &Json)| {
            let value = match value {
                Json::String(text) => Kept::Text(text.clone().into_bytes()),
                other => Kept::Json(other.to_string().into_bytes()),
            };
            (name.clone(), value)
        };
        Ok(Self {
            key: config.key.keys().cloned().collect(),
            names,
            table: Table::new(&rows, &keys, &added, config.matching, config.ignore_case)?,
            default: config.default.iter().map(of_json).collect(),
            scratch: Vec::new(),
        })
    }

    fn record(&mut self, record: &RecordRef<'_>, writer: &mut FieldWriter<'_>) -> Verdict {
        match self.table.find(&self.key, record, &mut self.scratch) {
            Some(row) => {
                let cells = self.names.iter().map(String::as_str).zip(row);
                add(record, writer, || {
                    cells.clone().filter_map(|(name, cell)| Some((name, cell.as_ref()?)))
                })
            }
            None => {
                let default = self.default.iter().map(|(name, value)| (name.as_str(), value));
                add(record, writer, || default.clone())
            }
        }
    }

    fn all(&mut self, batch: &mut LogBatch) {
        batch.rewrite(|record, writer| self.record(record, writer));
    }
}

/// Writes the record with these fields in place of those of the same names.
fn add<'v, I: Iterator<Item = (&'v str, &'v Kept)>>(
    record: &RecordRef<'_>,
    writer: &mut FieldWriter<'_>,
    fields: impl Fn() -> I,
) -> Verdict {
    if fields().next().is_none() {
        return Verdict::Keep;
    }
    for (name, value) in record.entries() {
        if !fields().any(|(new, _)| new == name) {
            writer.push(name, value);
        }
    }
    for (name, value) in fields() {
        writer.push_copy(name, value.as_ref());
    }
    Verdict::Touched
}

impl Transform for Lookup {
    fn transform(&mut self, mut batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        if let Batch::Logs(logs) = &mut batch {
            self.all(logs);
        }
        out.emit(batch);
        Ok(())
    }
}
