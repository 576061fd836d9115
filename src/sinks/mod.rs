//! Where a topology ends: the table of contents.

use crate::topology::component::SinkConfig;
use crate::topology::registry::components;

components! {
    SinkConfig:
}
pub mod apply;
