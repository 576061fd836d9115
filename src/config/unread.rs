//! Stand-ins for components whose settings are wrong, so that the rest of the graph can be checked
//! as if they were right. They are never run: a config with one of them is refused.

use super::lower::Role;
use crate::event::Kinds;
use crate::topology::component::{
    BuildContext, BuiltSink, Fault, SinkConfig, Source, SourceConfig, Transform, TransformConfig,
};
use crate::topology::graph::Component;
use std::sync::Arc;

/// A component that fits wherever it stands.
#[derive(Debug)]
struct Unread {
    /// The outputs that others read from.
    outputs: Vec<Arc<str>>,
}

/// Stands in for a component of this role, of which others read these named outputs.
pub(super) fn stand_in(role: Role, outputs: Vec<Arc<str>>) -> Component {
    let unread = Arc::new(Unread { outputs });
    match role {
        Role::Source => Component::Source(unread),
        Role::Transform => Component::Transform(unread),
        Role::Sink => Component::Sink(unread),
    }
}

const ANY: Kinds = Kinds::LOGS.union(Kinds::METRICS).union(Kinds::TASKS);

fn never_built() -> Fault {
    Fault::fatal("its settings could not be read")
}

impl SourceConfig for Unread {
    fn gives(&self) -> Kinds {
        Kinds::NONE
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        Err(never_built())
    }
}

impl TransformConfig for Unread {
    fn takes(&self) -> Kinds {
        ANY
    }

    fn gives(&self, _: Kinds) -> Kinds {
        Kinds::NONE
    }

    fn outputs(&self) -> Vec<Arc<str>> {
        self.outputs.clone()
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        Err(never_built())
    }
}

impl SinkConfig for Unread {
    fn takes(&self) -> Kinds {
        ANY
    }

    fn build(&self, _: &BuildContext) -> Result<BuiltSink, Fault> {
        Err(never_built())
    }
}
