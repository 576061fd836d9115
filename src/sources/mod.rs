//! Where a topology begins: the table of contents.

use crate::topology::component::SourceConfig;
use crate::topology::registry::components;

components! {
    SourceConfig:
    /// Gives the record of what was done to this host.
    audit,
    /// Gives the desired state of the config's apply files.
    config_dir,
    /// Runs a program and reads what it writes.
    exec,
    /// Follows files.
    file,
    /// Tells how the host is, in metrics.
    host_metrics,
    /// Listens for records in requests.
    http,
    /// Tells what this host is, whenever that has changed.
    inventory,
    /// Gives what the agent says of itself.
    internal_logs,
    /// Gives the agent's own metrics.
    internal_metrics,
    /// Gives the entries of systemd's journal.
    journald,
    /// Listens for lines over UDP, TCP and unix sockets.
    socket,
    /// Reads standard input.
    stdin,
    /// Listens for syslog over UDP, TCP and unix sockets.
    syslog,
}
