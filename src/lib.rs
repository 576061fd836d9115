//! Driftless keeps a Linux host as a git repository says it should be, tells how it is, and sends
//! its logs where they belong. All three jobs are one topology of sources, transforms and sinks.
//!
//! The modules depend on each other in one direction only, downwards:
//! `cli → config → sources, transforms, sinks → topology, host, expr → event`.

pub mod cli;
pub mod config;
pub mod event;
pub mod expr;
pub mod host;
#[cfg(any(test, fuzzing))]
pub mod hostile;
pub mod net;
pub mod sinks;
pub mod sources;
pub mod topology;
pub mod transforms;
