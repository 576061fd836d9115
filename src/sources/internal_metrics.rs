//! `internal_metrics`: gives the agent's own metrics.

use crate::event::metric::MetricBatch;
use crate::event::{Batch, Kinds};
use crate::host::process::OwnProcess;
use crate::host::roots::Roots;
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::output::Output;
use crate::topology::settings::Period;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Gives the agent's own metrics at every interval: `driftless_*` about its components, and
/// `process_*` about the process. For sinks that are pushed to; a `prometheus` sink shows them
/// already.
///
/// ```yaml
/// sources:
///   agent: {type: internal_metrics, interval: 30s}
/// ```
///
/// A snapshot that is lost is not sent again, since the next one says more.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often; from 100ms on.
    pub interval: Period,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: Period(Duration::from_secs(15)) }
    }
}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::METRICS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        if self.interval.0 < Duration::from_millis(100) {
            let message = format!("`interval` is {}; it can be from 100ms on", self.interval);
            return Err(Fault::fatal(message));
        }
        Ok(Box::new(InternalMetrics(self.interval.0)))
    }
}

struct InternalMetrics(Duration);

#[async_trait]
impl Source for InternalMetrics {
    async fn run(self: Box<Self>, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
        let mut process = OwnProcess::new(&Roots::live());
        if cx.env.once {
            return out.send(snapshot(&cx, &mut process), 0).await;
        }
        let mut ticks = interval(self.0);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // At most one is under way, so that a sink that is away gets none that are old. What a sink
        // has taken may wait there for long, as for an object that is not full.
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = cx.stop.requested() => return Ok(()),
                _ = ticks.tick(), if under_way.is_empty() => {
                    under_way.push(out.send(snapshot(&cx, &mut process), 0));
                }
                Some(sent) = under_way.next() => sent?,
                Some(_) = cx.receipts.recv() => {}
            }
        }
    }
}

fn snapshot(cx: &SourceContext, process: &mut OwnProcess) -> Batch {
    let mut families = cx.env.telemetry.families();
    families.extend(process.families());
    families.sort_by(|one, other| one.name.cmp(&other.name));
    Batch::Metrics(MetricBatch::new(families).taken(cx.env.taken_by(&cx.name)))
}
