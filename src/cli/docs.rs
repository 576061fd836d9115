//! `driftless docs`: the reference, made from the types that read the config.

mod expressions;
mod page;
mod tasks;

use super::Exit;
use super::shell::Shell;
use crate::config::discover::FileKind;
use crate::config::schema::file_schema;
use expressions::expression_pages;
use page::{Page, command_page, schema_page};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};
use tasks::task_pages;

/// Every written page begins with this.
const BANNER: &str = "<!-- AUTO-GENERATED from the code. Do not edit; run `driftless docs --out docs/src/reference` -->";

/// The folders of the reference that hold a page each for the components of `topology` files:
/// folder and key of the file in one word.
const ROLES: [&str; 3] = ["sources", "transforms", "sinks"];

/// Show the reference: the list of all pages, or the pages of one name.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  driftless docs\n  driftless docs file\n  driftless docs sinks/file"
)]
pub struct Args {
    /// A component, a kind of config file or a task type: `parse`, `logs`, `sinks/file`,
    /// `tasks/copy`.
    #[arg(conflicts_with = "out")]
    name: Option<String>,
    /// Write all pages into this directory instead, for the book.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let pages = pages();
    if let Some(dir) = &args.out {
        return match write_all(&pages, dir) {
            Ok(()) => Exit::Success,
            Err(error) => shell.fail(&format!("`{}`: {error}", dir.display())),
        };
    }
    let Some(name) = &args.name else { return shell.print(&overview(&pages)) };
    let found: Vec<&str> =
        pages.iter().filter(|page| page.is_named(name)).map(|page| page.text.as_str()).collect();
    if found.is_empty() {
        return shell.fail(&format!("there is no page `{name}`; `driftless docs` lists all"));
    }
    shell.print(&found.join("\n"))
}

/// All pages, in the order of the book.
fn pages() -> Vec<Page> {
    let topology = file_schema(FileKind::Topology);
    let mut pages = Vec::new();
    for role in ROLES {
        let singular = role.trim_end_matches('s');
        for schema in components(&topology, role) {
            let name = type_of(schema);
            let title = format!("`{name}` {singular}");
            pages.push(schema_page(&format!("{role}/{name}"), &title, schema, &topology));
        }
    }
    for kind in FileKind::ALL {
        let (name, schema) = (kind.name(), file_schema(kind));
        let title = format!("`{name}` file");
        pages.push(schema_page(&format!("files/{name}"), &title, &schema, &schema));
    }
    pages.extend(task_pages());
    pages.extend(expression_pages());
    pages.push(command_page("commands/command-line", super::command()));
    pages
}

/// The schemas of the components that stand under `role` in a `topology` file.
fn components<'s>(topology: &'s Value, role: &str) -> impl Iterator<Item = &'s Value> {
    let variants = topology.pointer(&format!("/properties/{role}/additionalProperties/oneOf"));
    variants.and_then(Value::as_array).into_iter().flatten()
}

fn type_of(schema: &Value) -> &str {
    schema.pointer("/properties/type/const").and_then(Value::as_str).unwrap_or_default()
}

/// The list of all pages, for a terminal.
fn overview(pages: &[Page]) -> String {
    let mut text = String::new();
    let mut folder = None;
    for page in pages {
        if folder.replace(page.folder()) != Some(page.folder()) {
            add(&mut text, format_args!("{}:\n", page.folder()));
        }
        add(&mut text, format_args!("  {:<14} {}\n", page.name(), page.summary));
    }
    text.push_str("\n`driftless docs NAME` shows a page.\n");
    text
}

/// The list of all pages, for the book.
fn index(pages: &[Page]) -> String {
    let mut text = "# Reference\n\nMade from the code: these pages say what this version reads, \
                    and nothing else.\n"
        .to_owned();
    let mut folder = None;
    for page in pages {
        if folder.replace(page.folder()) != Some(page.folder()) {
            add(&mut text, format_args!("\n## {}\n\n", page.folder()));
        }
        let (path, name, summary) = (&page.path, page.name(), &page.summary);
        add(&mut text, format_args!("- [{name}]({path}.md): {summary}\n"));
    }
    text
}

/// Where the book's list of pages goes over to those that are written here.
const REFERENCE: &str = "# Reference\n";

/// Lists the pages in the book that `dir` belongs to, where it does to one.
fn write_summary(pages: &[Page], dir: &Path) -> io::Result<()> {
    let (Some(book), Some(folder)) = (dir.parent(), dir.file_name()) else { return Ok(()) };
    let (path, folder) = (book.join("SUMMARY.md"), folder.to_string_lossy());
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let Some((by_hand, _)) = text.split_once(REFERENCE) else { return Ok(()) };
    let mut text = format!("{by_hand}{REFERENCE}\n- [All pages]({folder}/index.md)\n");
    for page in pages {
        add(&mut text, format_args!("  - [{}]({folder}/{}.md)\n", page.path, page.path));
    }
    fs::write(&path, text)
}

/// Writes the pages, and removes those of an earlier version that are there no more.
fn write_all(pages: &[Page], dir: &Path) -> io::Result<()> {
    let mut written = HashSet::new();
    let all = pages.iter().map(|page| (page.path.as_str(), page.text.clone()));
    for (path, text) in all.chain([("index", index(pages))]) {
        let path = dir.join(format!("{path}.md"));
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&path, format!("{BANNER}\n\n{text}"))?;
        written.insert(path);
    }
    for folder in ROLES.iter().chain(&["files", "tasks", "expressions", "commands"]) {
        let Ok(entries) = fs::read_dir(dir.join(folder)) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_ours =
                |path: &Path| fs::read_to_string(path).is_ok_and(|text| text.starts_with(BANNER));
            if !written.contains(&path) && is_ours(&path) {
                fs::remove_file(&path)?;
            }
        }
    }
    write_summary(pages, dir)
}

/// Appends; writing to a string cannot go wrong.
fn add(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sinks, sources, transforms};

    #[test]
    fn every_component_and_kind_of_file_has_a_page() {
        let pages = pages();
        let paths: Vec<&str> = pages.iter().map(|page| page.path.as_str()).collect();
        let roles = [
            ("sources", sources::NAMES),
            ("transforms", transforms::NAMES),
            ("sinks", sinks::NAMES),
        ];
        for (role, names) in roles {
            for name in names {
                assert!(paths.contains(&format!("{role}/{name}").as_str()), "{role}/{name}");
            }
        }
        for module in crate::sinks::apply::tasks::MODULES {
            assert!(paths.contains(&format!("tasks/{}", module.name).as_str()));
        }
        for kind in FileKind::ALL {
            assert!(paths.contains(&format!("files/{}", kind.name()).as_str()));
        }
    }

    #[test]
    fn every_setting_says_what_it_is_for() {
        for page in pages() {
            assert_eq!(page.undescribed, Vec::<String>::new(), "{}", page.path);
            assert!(!page.summary.is_empty(), "{}", page.path);
        }
    }

    #[test]
    fn a_page_of_an_earlier_version_is_removed_and_a_strangers_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sinks")).unwrap();
        let (old, foreign) = (dir.path().join("sinks/gone.md"), dir.path().join("sinks/notes.md"));
        fs::write(&old, format!("{BANNER}\n\nold")).unwrap();
        fs::write(&foreign, "mine").unwrap();
        write_all(&pages(), dir.path()).unwrap();
        assert!(!old.exists() && foreign.exists());
    }
}
