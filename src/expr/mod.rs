//! Jinja: conditions, templates, filters, tests. The one expression language.

#[cfg(test)]
mod agreement_tests;
pub mod call;
mod called;
pub mod collection;
pub mod condition;
pub mod filters;
mod format;
mod functions;
pub mod go_template;
pub mod host;
#[cfg(test)]
mod host_tests;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod includes;
pub mod jinja;
mod lenient;
pub mod lookups;
mod methods;
pub mod path_template;
mod pattern;
mod problem;
pub mod promql;
mod random;
pub mod record;
pub mod scope;
mod suggest;
pub mod syntax;
pub mod template;
pub mod tests;
pub mod text_value;
mod unparse;
pub mod value;
