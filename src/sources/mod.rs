//! Where a topology begins: the table of contents.

pub mod host_metrics;
