//! What happens on the way: the table of contents.

use crate::topology::component::TransformConfig;
use crate::topology::registry::components;

components! {
    TransformConfig:
    /// Leaves records out.
    filter,
    /// Keeps some fields and no others.
    keep_fields,
    /// Turns text into fields.
    parse,
    /// Takes fields away.
    remove,
    /// Gives fields other names.
    rename,
    /// Sends records different ways.
    route,
    /// Attaches the secrets to a desired state.
    secrets,
    /// Gives fields new values.
    set,
}
