//! Jinja: conditions, templates, filters, tests. The one expression language.

mod filters;
pub mod jinja;
mod methods;
pub mod path_template;
pub mod scope;
mod tests;
pub mod value;
