//! Where a topology ends: the table of contents.

use crate::topology::component::SinkConfig;
use crate::topology::registry::components;

components! {
    SinkConfig:
    /// Sends alerts to Alertmanager.
    alertmanager,
    /// Brings the host to the desired state.
    apply,
    /// Counts and throws away.
    blackhole,
    /// Writes to standard output or standard error.
    console,
    /// Sends to Elasticsearch or OpenSearch.
    elasticsearch,
    /// Appends to files.
    file,
    /// Sends to an HTTP server.
    http,
    /// Sends to Loki.
    loki,
    /// Is scraped by Prometheus.
    prometheus,
    /// Puts objects into a bucket of S3.
    s3,
    /// Sends to a TCP, UDP or unix socket.
    socket,
    /// Sends to a syslog server.
    syslog,
}
