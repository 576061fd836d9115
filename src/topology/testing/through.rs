//! A transform that does what a closure says.

use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use std::fmt;
use std::sync::Arc;

type Apply = dyn Fn(Batch, &mut Outputs) -> Result<(), Fault> + Send + Sync;

/// A transform that does what a closure says.
pub(crate) struct Through {
    pub(crate) outputs: Vec<Arc<str>>,
    pub(crate) apply: Arc<Apply>,
}

impl Through {
    pub(crate) fn new(
        apply: impl Fn(Batch, &mut Outputs) -> Result<(), Fault> + Send + Sync + 'static,
    ) -> Self {
        Self { outputs: Vec::new(), apply: Arc::new(apply) }
    }

    /// Passes everything on.
    pub(crate) fn all() -> Self {
        Self::new(|batch, out| {
            out.emit(batch);
            Ok(())
        })
    }
}

impl fmt::Debug for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("through")
    }
}

struct Applying(Arc<Apply>);

impl Transform for Applying {
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        (self.0)(batch, out)
    }
}

impl TransformConfig for Through {
    fn takes(&self) -> Kinds {
        Kinds::LOGS.union(Kinds::METRICS)
    }

    fn outputs(&self) -> Vec<Arc<str>> {
        self.outputs.clone()
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        Ok(Box::new(Applying(Arc::clone(&self.apply))))
    }
}
