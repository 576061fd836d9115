//! The arrows between the modules, held against the source text:
//! `cli → config → sources, transforms, sinks → topology, host, expr, net → event`.

use text::{program, says, sources};

/// A rule: files below `below`, except those below `except`, do not say any of `words`.
struct Ban {
    below: &'static str,
    except: &'static [&'static str],
    words: &'static [&'static str],
    why: &'static str,
}

const ABOVE_TOPOLOGY: &[&str] =
    &["crate::sources", "crate::transforms", "crate::sinks", "crate::config", "crate::cli"];
const NOT_EVENT: &[&str] = &["crate::expr", "crate::host", "crate::net", "crate::topology"];
const UNSAFE: &[&str] = &["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code)"];
const HTTP_CLIENTS: &[&str] =
    &["Client::new", "Client::builder", "ClientBuilder", "reqwest::get", "reqwest::blocking"];
const ABOVE_COMPONENTS: &[&str] = &["crate::config", "crate::cli"];

const BANS: &[Ban] = &[
    ban("event/", &[], ABOVE_TOPOLOGY, "event uses nothing of ours"),
    ban("event/", &[], NOT_EVENT, "event uses nothing of ours"),
    ban("expr/", &[], ABOVE_TOPOLOGY, "arrows point down"),
    ban("host/", &[], ABOVE_TOPOLOGY, "arrows point down"),
    ban("net/", &[], ABOVE_TOPOLOGY, "arrows point down"),
    ban("topology/", &[], ABOVE_TOPOLOGY, "the engine names no component"),
    ban("sources/", &[], &["crate::transforms", "crate::sinks"], "components never use each other"),
    ban("transforms/", &[], &["crate::sources", "crate::sinks"], "components never use each other"),
    ban("sinks/", &[], &["crate::sources", "crate::transforms"], "components never use each other"),
    ban("sources/", &[], ABOVE_COMPONENTS, "arrows point down"),
    ban("transforms/", &[], ABOVE_COMPONENTS, "arrows point down"),
    ban("sinks/", &[], ABOVE_COMPONENTS, "arrows point down"),
    ban("config/", &[], &["crate::cli"], "arrows point down"),
    ban(
        "transforms/",
        &[],
        &["tokio", "std::fs", "std::net", "std::process", "Instant", "SystemTime", "Utc::now"],
        "a transform does no I/O and knows no clock",
    ),
    ban("", &["host/sys.rs"], UNSAFE, "unsafe has one file"),
    ban("", &["host/", "main.rs"], &["SystemTime::now", "Utc::now", "Local::now"], "one clock"),
    ban("", &["host/"], &["process::Command"], "processes are started by the host module"),
    ban("", &["net/"], HTTP_CLIENTS, "HTTP clients are made by the net module"),
];

const fn ban(
    below: &'static str,
    except: &'static [&'static str],
    words: &'static [&'static str],
    why: &'static str,
) -> Ban {
    Ban { below, except, words, why }
}

#[cfg(test)]
mod text {
    use std::fs;
    use std::path::Path;

    /// Path below `src` and text of every file, without comments and unit tests.
    pub(crate) fn sources() -> Vec<(String, String)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        let mut open = vec![root.clone()];
        while let Some(dir) = open.pop() {
            for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                    found.push((name, fs::read_to_string(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    /// The code of a file that ends up in the program.
    pub(crate) fn program(name: &str, text: &str) -> String {
        let is_test = Path::new(name).file_stem().is_some_and(|stem| {
            let stem = stem.to_string_lossy();
            stem == "tests" || stem.ends_with("_tests")
        });
        let own =
            if is_test { "" } else { text.split("#[cfg(test)]\nmod tests {").next().unwrap() };
        let code = own.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.collect::<Vec<_>>().join("\n")
    }

    /// Whether `code` says `word`, not as a part of a longer one.
    pub(crate) fn says(code: &str, word: &str) -> bool {
        let part = |letter: char| letter.is_alphanumeric() || letter == '_';
        code.match_indices(word).any(|(at, _)| {
            !code[..at].ends_with(part) && !code[at + word.len()..].starts_with(part)
        })
    }
}

#[test]
fn the_arrows_point_one_way() {
    let mut broken = Vec::new();
    for (name, text) in sources() {
        let code = program(&name, &text);
        let exempt = |ban: &Ban| ban.except.iter().any(|except| name.starts_with(except));
        for ban in BANS.iter().filter(|ban| name.starts_with(ban.below) && !exempt(ban)) {
            for word in ban.words.iter().filter(|word| says(&code, word)) {
                broken.push(format!("src/{name} says `{word}`: {}", ban.why));
            }
        }
    }
    for (name, text) in sources() {
        // Grouped at the root of the crate, modules would escape the search above.
        let may = ["cli/", "config/"].iter().any(|folder| name.starts_with(folder));
        if !may && program(&name, &text).contains("crate::{") {
            broken.push(format!("src/{name} groups imports at `crate::{{`; one line a module"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn components_of_one_folder_never_use_each_other() {
    let mut broken = Vec::new();
    for (name, text) in sources() {
        let parts: Vec<&str> = name.split('/').collect();
        let [folder @ ("sources" | "transforms" | "sinks"), own, ..] = parts.as_slice() else {
            continue;
        };
        let own = own.trim_end_matches(".rs");
        let code = program(&name, &text);
        for used in code.split(&format!("crate::{folder}::")).skip(1) {
            let end = used.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let used = &used[..end.unwrap_or(used.len())];
            if used != own && own != "mod" {
                broken.push(format!("src/{name} uses its sibling `{used}`"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_file_says_what_it_is_and_can_be_read_in_one_go() {
    let mut broken = Vec::new();
    for (name, text) in sources() {
        if !text.starts_with("//! ") {
            broken.push(format!("src/{name}: its first line does not say what it is"));
        }
        let lines = text.lines().count();
        if lines > 500 {
            broken.push(format!("src/{name}: {lines} lines; split it by meaning"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_transform_that_remembers_says_so_in_its_config() {
    let mut broken = Vec::new();
    for (name, text) in sources().into_iter().filter(|(name, _)| name.starts_with("transforms/")) {
        let code = program(&name, &text);
        if code.contains("fn memory(") != code.contains("fn remembers(") {
            broken.push(format!("src/{name} has only one of `memory` and `remembers`"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
