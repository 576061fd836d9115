//! Ansible's tests, what may stand after `is`, and those of Jinja's own that the library lacks.

mod built_in;
mod files;
mod results;
mod values;
mod version;

use super::call::{Callable, Entry};
use super::collection::OF_FILTERS;
use minijinja::Environment;

/// The tables, by subject.
const TABLES: &[(&str, &[Callable])] = &[
    ("Results of tasks", results::TABLE),
    ("Values", values::TABLE),
    ("Versions", version::TABLE),
    ("Files", files::TABLE),
];

/// Makes the tests known to `environment`.
pub(super) fn register(environment: &mut Environment<'static>) {
    for callable in TABLES.iter().flat_map(|(_, table)| table.iter()) {
        for name in callable.entry.names {
            environment.add_test(*name, callable.function());
            for collection in OF_FILTERS {
                environment.add_test(format!("{collection}.{name}"), callable.function());
            }
        }
    }
}

/// All tests by subject, for the reference.
pub fn entries() -> impl Iterator<Item = (&'static str, Vec<&'static Entry>)> {
    let ours = TABLES
        .iter()
        .map(|(subject, table)| (*subject, table.iter().map(|callable| &callable.entry).collect()));
    ours.chain([("Jinja's own", built_in::LIBRARY.iter().collect())])
}
