//! The sources other than files, through the program: real sockets, clients and programs.

#[cfg(test)]
mod exec;
#[cfg(test)]
mod http;
#[cfg(test)]
#[path = "../support/installed.rs"]
mod installed;
#[cfg(test)]
mod internal;
#[cfg(test)]
mod journald;
#[cfg(test)]
#[path = "../support/process.rs"]
mod process;
#[cfg(test)]
mod rig;
#[cfg(test)]
#[path = "../support/skip.rs"]
mod skip;
#[cfg(test)]
mod syslog;
#[cfg(test)]
mod tls;
