//! The source: polls the collectors when a scrape asks, and at every interval for those that do
//! not ask.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout_at};

use super::options::Options;
use super::runner::{Collectors, PATIENCE};
use crate::event::metric::MetricBatch;
use crate::event::{Batch, Kinds};
use crate::host::brief::Programs;
use crate::host::roots::Roots;
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::demand::Wanted;
use crate::topology::output::Output;
use crate::topology::settings::Period;

/// Tells how the host is, under `node_exporter`'s names.
///
/// A scrape has the collectors run for it alone. Sinks that are not asked from outside get what
/// the collectors found at every `interval`.
///
/// ```yaml
/// sources:
///   host: {type: host_metrics, interval: 15s, collect: [cpu, meminfo]}
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often to poll for sinks that are pushed to; from 100ms on. A scrape polls by itself.
    pub interval: Period,
    /// Collectors, by `node_exporter`'s names; `default` is its default set.
    #[serde(deserialize_with = "known")]
    pub collect: Vec<String>,
    /// How long the collectors may take. One that takes longer, or longer than a scrape waits, is
    /// told as such (`node_scrape_collector_success` is 0) and left alone until it is back; the
    /// others go on without it.
    pub timeout: Period,
    /// Settings of single collectors: `filesystem: {mount_points: {exclude: ^/mnt}}`.
    pub options: Options,
    /// Where the host's `/proc` is, when it is not there.
    pub procfs: Option<PathBuf>,
    /// Where the host's `/sys` is, when it is not there.
    pub sysfs: Option<PathBuf>,
    /// Where the host's `/` is, when it is not there.
    pub rootfs: Option<PathBuf>,
    /// Where the host's `/run/udev/data` is, when it is not there.
    pub udev_data: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Period(Duration::from_secs(15)),
            collect: vec!["default".to_owned()],
            timeout: Period(Duration::from_secs(5)),
            options: Options::default(),
            procfs: None,
            sysfs: None,
            rootfs: None,
            udev_data: None,
        }
    }
}

/// A shorter interval would do nothing but poll.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

impl Config {
    fn roots(&self) -> Roots {
        let live = Roots::live();
        let or = |path: &Option<PathBuf>, standard| path.clone().unwrap_or(standard);
        Roots {
            procfs: or(&self.procfs, live.procfs),
            sysfs: or(&self.sysfs, live.sysfs),
            rootfs: or(&self.rootfs, live.rootfs),
            udev_data: or(&self.udev_data, live.udev_data),
        }
    }

    /// The collectors that it names, for who asks them himself.
    ///
    /// # Errors
    /// A name that is no collector's.
    pub fn collectors(&self) -> Result<Collectors, Fault> {
        collectors(&self.roots(), &self.options, &self.collect)
            .map_err(|unknown| Fault::fatal(format!("`collect`: {unknown}")))
    }
}

fn collectors(roots: &Roots, options: &Options, names: &[String]) -> Result<Collectors, String> {
    Collectors::new(roots, options, names.iter().map(String::as_str)).map_err(|unknown| {
        match unknown.nearest {
            Some(nearest) => format!("{unknown}; did you mean `{nearest}`?"),
            None => unknown.to_string(),
        }
    })
}

/// Refuses a wrong name where it is written, so that checking a config finds it. Making
/// collectors opens nothing.
fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::deserialize(deserializer)?;
    collectors(&Roots::live(), &Options::default(), &names).map_err(de::Error::custom)?;
    Ok(names)
}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::METRICS
    }

    fn answers_demand(&self) -> bool {
        true
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        if self.interval.0 < SHORTEST_INTERVAL {
            let message = format!("`interval` is {}; it can be from 100ms on", self.interval);
            return Err(Fault::fatal(message));
        }
        if self.timeout.0.is_zero() {
            return Err(Fault::fatal("`timeout` is 0s; expected a time such as `5s`"));
        }
        self.options.exec.check(&cx.env.masker).map_err(Fault::fatal)?;
        let (interval, timeout) = (self.interval.0, self.timeout.0);
        // Those of a run before have been ended.
        let programs = Programs::default();
        let mut config = self.clone();
        config.options.programs = programs.clone();
        Ok(Box::new(Host { collectors: config.collectors()?, interval, timeout, programs }))
    }
}

struct Host {
    collectors: Collectors,
    interval: Duration,
    timeout: Duration,
    /// What collectors run.
    programs: Programs,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.programs.end();
    }
}

/// What the way to the scrape takes of its time, at most.
const MARGIN: Duration = Duration::from_millis(200);

impl Host {
    /// Runs the collectors wanted. A scrape that asks for them does not wait after its `deadline`.
    async fn poll(
        &self,
        wanted: &Wanted,
        deadline: Option<Instant>,
        cx: &SourceContext,
    ) -> Result<Batch, Fault> {
        let now = Instant::now();
        let margin = |deadline: Instant| MARGIN.min(deadline.saturating_duration_since(now) / 10);
        let end = deadline.map(|deadline| deadline - margin(deadline));
        let end = end.unwrap_or(now + self.timeout).min(now + self.timeout);
        self.collectors.begin(|name| wanted.includes(name));
        // Threads that may wait for a disk.
        let mut workers = FuturesUnordered::new();
        let work = || {
            let collectors = self.collectors.clone();
            spawn_blocking(move || collectors.work())
        };
        workers.push(work());
        loop {
            tokio::select! {
                ended = workers.next() => match ended {
                    Some(ended) => ended.map_err(|error| {
                        Fault::passing(format!("the collectors: {error}"))
                    })?,
                    None => break,
                },
                () = sleep(PATIENCE) => if self.collectors.is_held_up() {
                    workers.push(work());
                },
                () = sleep_until(end) => break,
                () = cx.stop.requested() => break,
            }
        }
        let taken = cx.env.taken_by(&cx.name);
        Ok(Batch::Metrics(MetricBatch::new(self.collectors.gather()).taken(taken)))
    }
}

#[async_trait]
impl Source for Host {
    async fn run(self: Box<Self>, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
        if cx.env.once {
            let batch = self.poll(&Wanted::default(), None, &cx).await?;
            return out.send(batch, 0).await;
        }
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // At most one push is under way. A sink that is away must not keep a scrape waiting.
        let mut pushing = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                // A snapshot that is still on its way is not worth holding up the end.
                () = cx.stop.requested() => return Ok(()),
                demand = cx.demands.next() => if demand.deadline > Instant::now() {
                    let batch = self.poll(&demand.wanted, Some(demand.deadline), &cx).await?;
                    // Too late an answer is no answer; whoever asked has gone on without it.
                    let answered = timeout_at(demand.deadline, out.answer(batch, &demand)).await;
                    answered.unwrap_or(Ok(()))?;
                },
                _ = ticks.tick(), if pushing.is_empty() => {
                    let batch = self.poll(&Wanted::default(), None, &cx).await?;
                    pushing.push(out.send(batch, 0));
                }
                Some(pushed) = pushing.next() => pushed?,
                // The next snapshot makes up for one that was lost.
                Some(_) = cx.receipts.recv() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_collector_is_refused_with_the_name_that_is_meant() {
        let config = Config { collect: vec!["loadvg".into()], ..Config::default() };
        let fault = config.collectors().err().unwrap();
        let told = "`collect`: there is no collector `loadvg`; did you mean `loadavg`?";
        assert_eq!(fault, Fault::fatal(told));
    }

    #[test]
    fn a_mounted_image_is_read_in_place_of_this_host() {
        let config = Config { procfs: Some("/image/proc".into()), ..Config::default() };
        assert_eq!(config.roots(), Roots { procfs: "/image/proc".into(), ..Roots::live() });
    }
}
