//! The engine: components, the edges between them, and what runs them.

pub mod component;
pub mod context;
pub mod demand;
pub mod edge;
pub mod memory;
pub mod output;
pub mod settings;
pub mod telemetry;
