//! Finds and reads config files and lowers them to one graph.

mod assemble;
mod component;
pub mod discover;
pub mod files;
mod json;
pub mod load;
pub mod lower;
mod merge;
pub mod read;
mod render;
mod rule_files;
pub mod schema;
mod scope;
pub mod secret_use;
pub mod secrets;
mod secrets_file;
mod switched_off;
mod task_set;
pub mod test_file;
mod toml;
mod unread;
mod wording;
mod yaml;
mod yaml_fault;
