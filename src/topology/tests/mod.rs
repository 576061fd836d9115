//! The engine's promises, held against whole topologies of small components.

mod buffer;
mod delivery;
mod demand;
mod drain;
mod failures;
mod flow;
mod graph;
mod held;
mod ledger;
mod memory;
mod reload;
mod remembering;
mod trial;
