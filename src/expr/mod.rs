//! Jinja: conditions, templates, filters, tests. The one expression language.

#[cfg(test)]
mod agreement;
pub mod call;
pub mod condition;
pub mod filters;
mod functions;
pub mod host;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod includes;
pub mod jinja;
mod lenient;
pub mod lookups;
mod methods;
#[cfg(test)]
mod on_host;
pub mod path_template;
mod pattern;
mod problem;
mod random;
pub mod record;
pub mod scope;
mod suggest;
pub mod template;
pub mod tests;
pub mod text_value;
mod unparse;
pub mod value;
