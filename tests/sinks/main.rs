//! Sinks as a user runs them: the program with a config, and a real receiver at the other end.

#[cfg(test)]
mod bucket;
#[cfg(test)]
mod command;
#[cfg(test)]
mod file;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod http;
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
#[path = "../support/skip.rs"]
mod skip;
#[cfg(test)]
mod socket;
#[cfg(test)]
mod syslog;
#[cfg(test)]
mod syslog_ng;
