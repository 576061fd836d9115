//! Finds and reads config files and lowers them to one graph.

mod component;
pub mod discover;
mod json;
pub mod load;
pub mod lower;
mod merge;
pub mod read;
pub mod schema;
mod scope;
pub mod secret_use;
pub mod secrets;
mod secrets_file;
mod toml;
mod yaml;
mod yaml_fault;
mod yaml_scalar;
