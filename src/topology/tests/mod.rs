//! The engine's promises, held against whole topologies of small components.

mod delivery;
mod demand;
mod drain;
mod failures;
mod flow;
mod graph;
mod memory;
mod reload;
