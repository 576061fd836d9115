//! The executor as a sink: brings the host to what a task set says.

mod args;
pub mod executor;
mod items;
mod keywords;
pub mod params;
pub mod parse;
pub mod report;
pub mod tasks;
mod turn;
mod words;
