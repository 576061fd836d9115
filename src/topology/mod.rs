//! The engine: components, the edges between them, and what runs them.

pub mod component;
pub mod context;
pub mod demand;
pub mod edge;
pub mod graph;
pub mod memory;
pub mod output;
pub(crate) mod registry;
pub mod run;
mod runners;
pub mod settings;
mod supervise;
pub mod telemetry;
mod units;
