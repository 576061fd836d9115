//! Ansible's filters, and those of Jinja's own that the library lacks or reads otherwise. One file
//! a subject; each has a table, from which the reference is made too.

mod arrange;
mod built_in;
mod dict;
mod hash;
mod links;
mod list;
mod math;
mod net;
pub(super) mod path;
mod regex;
mod serial;
mod text;
mod time;
mod url;
mod yaml;
mod yaml_read;

use super::call::{Callable, Entry};
use super::collection::OF_FILTERS;
use minijinja::Environment;

pub(super) use arrange::{product as product_of, sub_items as sub_items_of};
use built_in::LIBRARY;
pub(super) use dict::entries as entries_of;
pub(super) use hash::crypt;
pub use serial::json_text;
pub(super) use time::{minus, now};

/// The tables, by subject.
const TABLES: &[(&str, &[Callable])] = &[
    ("Values", text::VALUES),
    ("Text", text::TABLE),
    ("Patterns", regex::TABLE),
    ("Lists", list::TABLE),
    ("Lists put together", arrange::TABLE),
    ("Mappings", dict::TABLE),
    ("Numbers", math::TABLE),
    ("Formats", serial::TABLE),
    ("Paths", path::TABLE),
    ("Digests", hash::TABLE),
    ("Times", time::TABLE),
    ("Addresses", url::TABLE),
    ("Networks", net::TABLE),
];

/// Makes the filters known to `environment`.
pub(super) fn register(environment: &mut Environment<'static>) {
    for callable in TABLES.iter().flat_map(|(_, table)| table.iter()) {
        for name in callable.entry.names {
            environment.add_filter(*name, callable.function());
            for collection in OF_FILTERS {
                environment.add_filter(format!("{collection}.{name}"), callable.function());
            }
        }
    }
}

/// All filters by subject, for the reference.
pub fn entries() -> impl Iterator<Item = (&'static str, Vec<&'static Entry>)> {
    let ours = TABLES
        .iter()
        .map(|(subject, table)| (*subject, table.iter().map(|callable| &callable.entry).collect()));
    ours.chain([("Jinja's own", LIBRARY.iter().collect())])
}
