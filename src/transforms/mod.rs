//! What happens on the way: the table of contents.

use crate::topology::component::TransformConfig;
use crate::topology::registry::components;

components! {
    TransformConfig:
    filter,
    parse,
    remove,
    rename,
    route,
    secrets,
    set,
}
