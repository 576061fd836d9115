//! Sinks as a user runs them: the program with a config, and a real receiver at the other end.

#[cfg(test)]
mod harness;
#[cfg(test)]
mod rsyslog;
#[cfg(test)]
mod socket;
#[cfg(test)]
mod syslog;
