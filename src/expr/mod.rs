//! Jinja: conditions, templates, filters, tests. The one expression language.

pub mod condition;
mod filters;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
pub mod jinja;
mod methods;
pub mod path_template;
pub mod record;
pub mod scope;
pub mod template;
mod tests;
pub mod text_value;
mod unparse;
pub mod value;
