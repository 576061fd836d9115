//! The pages of filters, tests and look-ups, from the tables that make them known.

use super::add;
use super::page::Page;
use crate::expr::call::Entry;
use crate::expr::{filters, lookups, tests};

/// All pages about expressions.
pub(super) fn expression_pages() -> [Page; 3] {
    [
        page(
            "filters",
            "Filters of expressions: what may stand after `|`.",
            "A filter makes another value of the one before it: `name | upper`. Filters of Ansible \
             and of Jinja have the meaning that they have there; their full names, such as \
             `ansible.builtin.to_json`, are understood too.",
            filters::entries(),
        ),
        page(
            "tests",
            "Tests of expressions: what may stand after `is`.",
            "A test says whether something is so: `result is changed`, `port is not defined`. Tests \
             of files look at the host, which only the expressions of tasks can.",
            tests::entries(),
        ),
        page(
            "lookups",
            "Look-ups: what tasks read with `lookup` and `query`.",
            "`lookup('file', 'motd')` reads something in. `query`, or `q`, gives the same as a \
             list; so does `wantlist=true`. With `errors='ignore'` or `'warn'` nothing is found \
             where there would be an error. Look-ups run in dry runs too, and look at the host as \
             the tasks before would leave it.",
            lookups::entries(),
        ),
    ]
}

fn page<'e>(
    name: &str,
    summary: &str,
    about: &str,
    subjects: impl Iterator<Item = (&'static str, Vec<&'e Entry>)>,
) -> Page {
    let title = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    let mut page = Page {
        path: format!("expressions/{name}"),
        summary: summary.to_owned(),
        text: format!("# {title}\n\n{about}\n"),
        undescribed: Vec::new(),
    };
    for (subject, entries) in subjects {
        add(&mut page.text, format_args!("\n## {subject}\n"));
        for entry in entries {
            let names: Vec<String> = entry.names.iter().map(|name| format!("`{name}`")).collect();
            add(&mut page.text, format_args!("\n### {}\n\n{}\n", names.join(", "), entry.about));
            if !entry.takes.is_empty() {
                add(&mut page.text, format_args!("\nTakes `{}`.\n", entry.takes));
            }
            add(&mut page.text, format_args!("\n```jinja\n{}\n```\n", entry.example));
        }
    }
    page
}
