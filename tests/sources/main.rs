//! The sources other than files, through the program: real sockets, clients and programs.

#[cfg(test)]
mod rig;
#[cfg(test)]
mod syslog;
