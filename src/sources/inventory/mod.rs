//! `inventory`: tells what this host is, whenever that has changed.

mod changes;
mod store;

use self::changes::{Change, changes, without_the_momentary};
use self::store::Store;
use crate::event::ack::Outcome;
use crate::event::fault::nearest;
use crate::event::log::{LogBatch, Origin};
use crate::event::{Batch, Kinds};
use crate::host::clock;
use crate::host::facts::Facts;
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::held::Held;
use crate::topology::memory::Chunk;
use crate::topology::output::Output;
use crate::topology::settings::Period;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

/// Tells what this host is: its facts, as `driftless facts` shows them, whenever one has changed.
///
/// ```yaml
/// sources:
///   inventory: {type: inventory, interval: 15m}
/// sinks:
///   cmdb: {type: http, inputs: [inventory], url: https://cmdb.example.com/hosts}
/// ```
///
/// A change is told by a record for each value that is another, with `type` `fact.changed`, its
/// name in `fact` (`os.version`), `old` and `new`; then comes one with `type` `inventory.snapshot`
/// and all `facts`. What has been delivered is remembered over restarts, so that a host that is as
/// it was tells nothing. What changes from moment to moment is left out: uptime, load, how much
/// memory and space is free, and which services run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often to look; from 1s on.
    pub interval: Period,
    /// The facts to tell of, by name; empty for all.
    pub facts: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: Period(Duration::from_secs(900)), facts: Vec::new() }
    }
}

const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// What may be on its way to the sinks, in bytes: one change after another.
const HELD_BYTES: usize = 1;

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        if self.interval.0 < SHORTEST_INTERVAL {
            let message = format!("`interval` is {}; it can be from 1s on", self.interval);
            return Err(Fault::fatal(message));
        }
        for name in &self.facts {
            if !Facts::names().any(|known| known == name) {
                let meant = nearest(name, Facts::names())
                    .map(|meant| format!("; did you mean `{meant}`?"))
                    .unwrap_or_default();
                return Err(Fault::fatal(format!("`facts`: there is no fact `{name}`{meant}")));
            }
        }
        Ok(Box::new(Inventory(self.clone())))
    }
}

struct Inventory(Config);

#[async_trait]
impl Source for Inventory {
    async fn run(self: Box<Self>, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
        let Self(config) = *self;
        let store = cx.env.keeps_state.then(|| Store::new(&cx.env.data_dir, &cx.name));
        let mut told = match &store {
            Some(store) => store
                .load()
                .map_err(|error| Fault::passing(format!("{}: {error}", store.path().display())))?,
            None => None,
        };
        let origin = Origin {
            source: Arc::clone(&cx.name),
            host: Arc::clone(&cx.env.host),
            ..Origin::default()
        };
        let (origin, reserve, mut offset) = (Arc::new(origin), cx.env.memory.reserve(), 0);
        let mut held = Held::new(out, &mut cx, HELD_BYTES);
        let mut ticks = interval(config.interval.0);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut facts = Facts::of_this_host();
        loop {
            tokio::select! {
                biased;
                receipt = held.receipt() => {
                    held.settle(receipt).await?;
                    continue;
                }
                () = cx.stop.requested() => break,
                _ = ticks.tick(), if held.has_room() => {}
            }
            let found;
            (facts, found) = gather(facts, config.facts.clone()).await?;
            if told.as_ref() != Some(&found) {
                let text = lines(told.as_ref(), &found);
                let chunk = held.chunk(&reserve, text.len()).await?;
                let logs = batch(&text, chunk, &origin, offset);
                offset += text.len() as u64;
                held.send(Batch::Logs(logs), store.clone().map(|it| it.when_told(&found))).await?;
                told = Some(found);
            }
            if cx.env.once {
                break;
            }
        }
        held.finish().await;
        Ok(())
    }
}

impl Store {
    /// Remembers what was told once it is delivered.
    fn when_told(self, found: &Value) -> Box<dyn FnOnce(Outcome) + Send> {
        let found = found.clone();
        Box::new(move |outcome| {
            if outcome != Outcome::Lost
                && let Err(error) = self.save(&found)
            {
                tracing::error!(path = %self.path().display(), %error, "what was told is not kept");
            }
        })
    }
}

/// Looks at the host on a thread that may wait for it.
async fn gather(facts: Facts, names: Vec<String>) -> Result<(Facts, Value), Fault> {
    let look = move || {
        let facts = facts.again();
        let is_wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
        let fact = |name: &str| Some((name.to_owned(), facts.get(name)?.clone()));
        let names = Facts::names().filter(|name| is_wanted(name));
        let found: Map<String, Value> = names.filter_map(fact).collect();
        (facts, without_the_momentary(Value::Object(found)))
    };
    let looked = spawn_blocking(look).await;
    looked.map_err(|error| Fault::passing(format!("the facts: {error}")))
}

/// A line of JSON for each change, and one for the whole. At the first time only that.
fn lines(before: Option<&Value>, now: &Value) -> String {
    let mut text = String::new();
    let mut add = |record: Value| {
        text.push_str(&record.to_string());
        text.push('\n');
    };
    for Change { fact, old, new } in before.map(|old| changes(old, now)).unwrap_or_default() {
        let message = format!("{fact} is {new}, was {old}");
        add(json!({
            "message": message, "type": "fact.changed", "fact": fact, "old": old, "new": new,
        }));
    }
    let message = "what this host is";
    add(json!({"message": message, "type": "inventory.snapshot", "facts": now}));
    text
}

fn batch(text: &str, mut chunk: Chunk, origin: &Arc<Origin>, offset: u64) -> LogBatch {
    chunk.data.extend_from_slice(text.as_bytes());
    LogBatch::from_objects(&chunk.freeze(), (Arc::clone(origin), offset, clock::now_ns()), [])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_by_itself_and_then_the_whole() {
        let (old, new) = (json!({"os": {"version": "12"}}), json!({"os": {"version": "13"}}));
        let told = lines(Some(&old), &new);
        let records: Vec<Value> =
            told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0]["message"], "os.version is \"13\", was \"12\"");
        assert_eq!((&records[0]["old"], &records[0]["new"]), (&"12".into(), &"13".into()));
        assert_eq!(records[1]["facts"], new);
        assert_eq!(lines(None, &new).lines().count(), 1);
    }

    #[test]
    fn a_misspelt_fact_is_refused_with_the_one_that_is_meant() {
        let config = Config { facts: vec!["packges".into()], ..Config::default() };
        let dir = tempfile::tempdir().unwrap();
        let env = crate::topology::testing::environment_in(dir.path());
        let fault = config.build(&BuildContext { name: "x".into(), env }).err().unwrap();
        let told = "`facts`: there is no fact `packges`; did you mean `packages`?";
        assert_eq!(fault, Fault::fatal(told));
    }
}
