//! Sinks as a user runs them: the program with a config, and a real receiver at the other end.

#[cfg(test)]
mod alertmanager;
#[cfg(test)]
#[path = "../support/bucket.rs"]
mod bucket;
#[cfg(test)]
#[path = "../support/bulk.rs"]
mod bulk;
#[cfg(test)]
mod command;
#[cfg(test)]
mod elasticsearch;
#[cfg(test)]
#[path = "../support/fetched.rs"]
mod fetched;
#[cfg(test)]
mod file;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod host_metrics;
#[cfg(test)]
mod http;
#[cfg(test)]
#[path = "../support/installed.rs"]
mod installed;
#[cfg(test)]
mod loki;
#[cfg(test)]
#[path = "../support/loki.rs"]
mod loki_server;
#[cfg(test)]
mod moto;
#[cfg(test)]
mod osmem;
#[cfg(test)]
#[path = "../support/network.rs"]
mod own_network;
#[cfg(test)]
#[path = "../support/process.rs"]
mod process;
#[cfg(test)]
mod rclone;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod rsyslog;
#[cfg(test)]
mod s3;
#[cfg(test)]
mod s3_once;
#[cfg(test)]
mod s3_refusals;
#[cfg(test)]
#[path = "../support/skip.rs"]
mod skip;
#[cfg(test)]
mod socket;
#[cfg(test)]
#[path = "../support/stub.rs"]
mod stub;
#[cfg(test)]
mod syslog;
#[cfg(test)]
mod syslog_ng;
#[cfg(test)]
mod threshold;
