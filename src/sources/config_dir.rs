//! The desired state that the config declares, as a source: one task set a revision.

use crate::event::ack::Receipt;
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::output::Output;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;

/// Gives the tasks of the config's apply files: once at the start, and again whenever a reload
/// brings others. A newer set replaces one that still waits. An apply file stands for this source,
/// a `secrets` transform and an `apply` sink.
///
/// ```yaml
/// sources: {desired: {type: config_dir}}
/// transforms: {with_secrets: {type: secrets, inputs: [desired]}}
/// sinks: {host: {type: apply, inputs: [with_secrets]}}
/// ```
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::TASKS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        Ok(Box::new(ConfigDir))
    }
}

struct ConfigDir;

#[async_trait]
impl Source for ConfigDir {
    async fn run(self: Box<Self>, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
        let mut tasks = cx.env.tasks.clone();
        let mut mark = 0;
        loop {
            let newest = tasks.borrow_and_update().clone();
            if let Some(set) = newest {
                mark += 1;
                out.send(Batch::Tasks(set), mark).await?;
            }
            if cx.env.once {
                break;
            }
            tokio::select! {
                () = cx.stop.requested() => break,
                changed = tasks.changed() => if changed.is_err() { break },
            }
        }
        drop(out);
        // The run ends when the last set has been carried out, or has failed and been recorded.
        if mark > 0 {
            until_settled(mark, &mut cx.receipts).await;
        }
        Ok(())
    }
}

async fn until_settled(mark: u64, receipts: &mut mpsc::UnboundedReceiver<Receipt>) {
    while let Some(receipt) = receipts.recv().await {
        if receipt.mark == mark && receipt.last {
            return;
        }
    }
}
