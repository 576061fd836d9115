//! What flows through a topology, and what every other part speaks of: batches, values with
//! their places, acknowledgements, diagnostics. Uses nothing else of Driftless.

pub mod de;
pub mod fault;
pub mod metric;
pub mod secret;
pub mod task;
pub mod tree;
