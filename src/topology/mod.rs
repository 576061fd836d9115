//! The engine: components, the edges between them, and what runs them.

pub mod buffer;
mod chain;
pub mod component;
pub mod context;
pub mod dead_letters;
pub mod delivery;
pub mod demand;
pub mod edge;
mod full;
pub mod graph;
pub mod health;
pub mod held;
mod job;
mod kept;
mod ledger;
mod limits;
pub mod memory;
pub mod multiline;
pub mod once;
pub mod output;
pub mod own_log;
pub mod probe;
pub(crate) mod registry;
pub mod request;
mod requests;
mod retained;
mod rewire;
pub mod run;
mod runners;
pub mod runs;
pub mod sending;
pub mod settings;
pub mod standings;
mod supervise;
pub mod tally;
pub mod tap;
pub mod telemetry;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
pub mod trial;
mod units;
pub(crate) mod untold;

#[cfg(test)]
mod tests;
