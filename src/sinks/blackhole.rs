//! `blackhole`: counts what it takes and throws it away.

use crate::event::ack::Outcome;
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, BuiltSink, Fault, SinkConfig, StreamSink};
use crate::topology::context::SinkContext;
use crate::topology::edge::{Envelope, Input};
use crate::topology::settings::Period;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Counts what it takes and throws it away.
///
/// For measuring what stands before it, for trying out a source, and, with `rate`, for seeing what
/// a slow receiver does to a pipeline.
///
/// ```yaml
/// sinks:
///   nowhere: {type: blackhole, inputs: [app], rate: 500, interval: 10s}
/// ```
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Records taken a second at most, at least 1. Without it, as many as come.
    #[schemars(range(min = 1))]
    pub rate: Option<u32>,
    /// How often the agent's log says what was taken so far (level `info`), and once more at the
    /// end. Without it the log says nothing; the agent's own metrics count in any case.
    pub interval: Option<Period>,
}

impl SinkConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS.union(Kinds::METRICS)
    }

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        if self.rate == Some(0) {
            return Err(Fault::fatal("`rate` is 0; a sink that takes nothing is one left out"));
        }
        if self.interval.is_some_and(|interval| interval.0 == Duration::ZERO) {
            return Err(Fault::fatal("`interval` is 0; leave it out for no summaries"));
        }
        Ok(BuiltSink::Stream(Box::new(Blackhole { config: *self, taken: Taken::default() })))
    }
}

struct Blackhole {
    config: Config,
    taken: Taken,
}

/// What was taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    records: u64,
    bytes: u64,
}

#[async_trait]
impl StreamSink for Blackhole {
    async fn run(mut self: Box<Self>, input: Input, cx: SinkContext) -> Result<(), Fault> {
        let mut free_at = Instant::now();
        let mut summary_at = self.config.interval.map(|interval| Instant::now() + interval.0);
        loop {
            let next = tokio::select! {
                next = input.next() => next,
                () = sleep_until(summary_at.unwrap_or_else(Instant::now)), if summary_at.is_some() => {
                    self.taken.tell(cx.telemetry.name());
                    summary_at = self.config.interval.map(|interval| Instant::now() + interval.0);
                    continue;
                }
            };
            let Some((batch, ack, _)) = next.map(Envelope::open) else { break };
            cx.telemetry.received(&batch);
            if let Some(rate) = self.config.rate {
                free_at = free_at.max(Instant::now()) + time_for(&batch, rate);
                sleep_until(free_at).await;
            }
            let (records, bytes) = (batch.len() as u64, batch.bytes() as u64);
            self.taken.records += records;
            self.taken.bytes += bytes;
            cx.telemetry.delivered(records, bytes);
            ack.settle(Outcome::Delivered);
        }
        if self.config.interval.is_some() {
            self.taken.tell(cx.telemetry.name());
        }
        Ok(())
    }
}

/// How long a sink that takes `rate` records a second is busy with this batch.
fn time_for(batch: &Batch, rate: u32) -> Duration {
    let records = u32::try_from(batch.len()).unwrap_or(u32::MAX);
    Duration::from_secs(1).saturating_mul(records) / rate.max(1)
}

impl Taken {
    fn tell(self, component: &str) {
        let Self { records, bytes } = self;
        tracing::info!(component, records, bytes, "taken and thrown away so far");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::{LogBatch, Origin};
    use bytes::Bytes;
    use std::sync::Arc;

    #[test]
    fn a_rate_is_records_a_second() {
        let lines = Bytes::from("x\n".repeat(50));
        let batch = Batch::Logs(LogBatch::from_lines(&lines, Arc::new(Origin::default()), 0, 0));
        assert_eq!(time_for(&batch, 100), Duration::from_millis(500));
        assert_eq!(time_for(&batch, 1), Duration::from_secs(50));
    }
}
