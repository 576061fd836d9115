//! What flows through a topology, and what every other part speaks of: batches, values with
//! their places, acknowledgements, diagnostics. Uses nothing else of Driftless.

pub mod exposition;
pub mod fault;
pub mod metric;
pub mod number;
pub mod task;
pub mod tree;
