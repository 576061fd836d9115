//! Packages of Debian: what its database says is installed, and what apt says that it would do.

pub mod database;
pub mod simulation;
pub mod version;
