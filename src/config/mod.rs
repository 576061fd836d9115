//! Finds and reads config files and lowers them to one graph.

mod json;
pub mod read;
pub mod secret_use;
pub mod secrets;
mod secrets_file;
mod toml;
mod yaml;
mod yaml_fault;
mod yaml_scalar;
