//! Shows a client what passes a component, record by record.

use crate::event::Batch;
use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::log::LogBatch;
use crate::expr::condition::{Bound, Condition, Sense};
use crate::topology::context::Environment;
use serde_json::json;

/// Of one batch so many records are shown; a terminal shows no more in a moment, and the batch's
/// memory is free again.
const MOST_SHOWN: usize = 1000;

/// How what passes becomes lines.
pub(super) struct Show {
    condition: Option<Bound>,
    encoder: Encoder,
}

impl Show {
    /// Records for which `condition` holds; all where there is none.
    ///
    /// # Errors
    /// What is wrong with the condition.
    pub(super) fn new(condition: Option<&str>, env: &Environment) -> Result<Self, String> {
        let bind = |text: &str| {
            let condition: Condition = text.parse().map_err(|error| format!("{error}"))?;
            condition.bind(&env.constants.load()).map_err(|error| format!("{error}"))
        };
        let condition = condition.map(bind).transpose();
        let condition = condition.map_err(|error| format!("`--where`: {error}"))?;
        Ok(Self { condition, encoder: Encoder::new(&Encoding::Ndjson, Extra::Origin) })
    }

    /// The lines for one batch, and how many records of it are not shown though they should be.
    pub(super) fn lines(&mut self, batch: Batch) -> (Vec<String>, u64) {
        let mut text = Vec::new();
        let mut left_out = 0;
        match batch {
            Batch::Logs(mut logs) => {
                if let Some(condition) = &self.condition {
                    condition.filter(&mut logs, Sense::Keep);
                }
                left_out = self.records(&logs, &mut text);
            }
            Batch::Metrics(metrics) => self.encoder.encode_metrics(&metrics, &mut text),
            Batch::Tasks(set) => {
                let line = json!({"revision": set.revision, "tasks": set.count()});
                text = line.to_string().into_bytes();
            }
        }
        let text = String::from_utf8_lossy(&text);
        (text.lines().map(str::to_owned).collect(), left_out)
    }

    fn records(&mut self, logs: &LogBatch, text: &mut Vec<u8>) -> u64 {
        for record in logs.records().take(MOST_SHOWN) {
            self.encoder.encode_record(&record, text);
        }
        logs.len().saturating_sub(MOST_SHOWN) as u64
    }
}
