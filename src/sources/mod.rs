//! Where a topology begins: the table of contents.

use crate::topology::component::SourceConfig;
use crate::topology::registry::components;

pub mod host_metrics;

components! {
    SourceConfig:
    /// Gives the desired state of the config's apply files.
    config_dir,
    /// Follows files.
    file,
    /// Reads standard input.
    stdin,
}
