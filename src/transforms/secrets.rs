//! Hands the secrets that a task set's templates name to the set.

use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use crate::topology::context::Environment;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Attaches the secrets that the config refers to, so that tasks may use `{{ secrets.NAME }}`.
/// They were looked up when the config was loaded; this only hands them over.
///
/// ```yaml
/// transforms: {with_secrets: {type: secrets, inputs: [desired]}}
/// ```
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::TASKS
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        Ok(Box::new(Secrets { env: Arc::clone(&cx.env) }))
    }
}

struct Secrets {
    env: Arc<Environment>,
}

impl Transform for Secrets {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        out.emit(match batch {
            Batch::Tasks(set) => {
                let mut set = Arc::unwrap_or_clone(set);
                set.secrets = crate::event::secret::Secrets::clone(&self.env.secrets.load());
                Batch::Tasks(Arc::new(set))
            }
            other => other,
        });
        Ok(())
    }
}
