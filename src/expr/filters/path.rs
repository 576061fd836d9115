//! Filters on paths. Only those that follow links look at the host.

use crate::expr::call::{Call, Callable, list, wrong};
use crate::expr::host;
use minijinja::Error;
use minijinja::value::{Tuple, Value};
use std::borrow::Cow;
use std::env;

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["basename"],
        "",
        |call| Ok(on(call, |path| split(path).1.into())),
        "The last component of a path.",
        "'/a/b.c' | basename → 'b.c'",
    ),
    Callable::new(
        &["dirname"],
        "",
        |call| Ok(on(call, |path| split(path).0.into())),
        "The path without its last component.",
        "'/a/b.c' | dirname → '/a'",
    ),
    Callable::new(
        &["splitext"],
        "",
        |call| {
            let path = call.value.to_string();
            let (root, extension) = split_extension(&path);
            Ok(Value::from_object(Tuple::new(vec![root.into(), extension.into()])))
        },
        "A path in two: up to the extension, and that.",
        "'/a/b.c' | splitext → ('/a/b', '.c')",
    ),
    Callable::new(
        &["expanduser"],
        "",
        |call| Ok(on(call, |path| expand_user(path).into_owned().into())),
        "A path with the home directory for a leading `~`.",
        "'~/x' | expanduser → '/root/x'",
    ),
    Callable::new(
        &["expandvars"],
        "",
        |call| Ok(on(call, |path| expand_vars(path).into())),
        "A path with the values of environment variables, `$NAME` or `${NAME}`.",
        "'$HOME/x' | expandvars → '/root/x'",
    ),
    Callable::new(
        &["normpath"],
        "",
        |call| Ok(on(call, |path| normal(path).into())),
        "A path without `.`, `..` and doubled slashes.",
        "'/a//b/../c' | normpath → '/a/c'",
    ),
    Callable::new(
        &["realpath"],
        "",
        |call| {
            let host = host::of(call.state, "realpath")?;
            let path = host::path(&*host, &call.value.to_string());
            let real = host.real_path(&path).map_err(|why| call.wrong(format!("fails: {why}")))?;
            Ok(real.display().to_string().into())
        },
        "The path without links in it.",
        "'/var/run' | realpath → '/run'",
    ),
    Callable::new(
        &["relpath"],
        "start",
        |call| {
            let start = call.text("start").unwrap_or_default();
            Ok(relative(&call.value.to_string(), &start).into())
        },
        "The path as it is seen from a directory.",
        "'/a/b' | relpath('/a/c') → '../b'",
    ),
    Callable::new(
        &["path_join"],
        "*others",
        |call| {
            let mut parts: Vec<String> = match list(&call.value) {
                Some(items) => items.iter().map(ToString::to_string).collect(),
                None => vec![call.value.to_string()],
            };
            parts.extend(call.rest.iter().map(ToString::to_string));
            Ok(join(&parts).into())
        },
        "One path of several parts; an absolute part drops what comes before it.",
        "['/a', 'b'] | path_join → '/a/b'",
    ),
    Callable::new(
        &["commonpath"],
        "",
        common,
        "The longest path that all paths of a list begin with.",
        "['/a/b', '/a/c'] | commonpath → '/a'",
    ),
    Callable::new(
        &["win_basename"],
        "",
        |call| Ok(on(call, |path| win_split(path).1.into())),
        "The last component of a path of Windows.",
        "'C:\\\\a\\\\b' | win_basename → 'b'",
    ),
    Callable::new(
        &["win_dirname"],
        "",
        |call| Ok(on(call, |path| win_split(path).0.into())),
        "A path of Windows without its last component.",
        "'C:\\\\a\\\\b' | win_dirname → 'C:\\\\a'",
    ),
    Callable::new(
        &["win_splitdrive"],
        "",
        |call| {
            let path = call.value.to_string();
            let at = if path.as_bytes().get(1) == Some(&b':') { 2 } else { 0 };
            let (drive, rest) = path.split_at(at);
            Ok(Value::from_object(Tuple::new(vec![drive.into(), rest.into()])))
        },
        "A path of Windows in two: its drive, and the rest.",
        "'C:\\\\a' | win_splitdrive → ('C:', '\\\\a')",
    ),
];

fn on(call: &Call<'_, '_, '_>, make: impl FnOnce(&str) -> Value) -> Value {
    make(&call.value.to_string())
}

/// A path before and after its last slash.
fn split(path: &str) -> (&str, &str) {
    let at = path.rfind('/').map_or(0, |at| at + 1);
    let (head, tail) = path.split_at(at);
    let trimmed = head.trim_end_matches('/');
    (if trimmed.is_empty() { head } else { trimmed }, tail)
}

fn win_split(path: &str) -> (&str, &str) {
    let at = path.rfind(['/', '\\']).map_or(0, |at| at + 1);
    let (head, tail) = path.split_at(at);
    let trimmed = head.trim_end_matches(['/', '\\']);
    (if trimmed.is_empty() || trimmed.ends_with(':') { head } else { trimmed }, tail)
}

fn split_extension(path: &str) -> (&str, &str) {
    let start = path.rfind('/').map_or(0, |at| at + 1);
    let name = &path[start..];
    let first = name.find(|c| c != '.').unwrap_or(name.len());
    match name[first..].rfind('.') {
        Some(at) => path.split_at(start + first + at),
        None => (path, ""),
    }
}

/// The home directory for a leading `~`; of other users none is known.
pub(in crate::expr) fn expand_user(path: &str) -> Cow<'_, str> {
    let Some(rest) = path.strip_prefix('~') else { return path.into() };
    match env::var("HOME") {
        Ok(home) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}{rest}", home.trim_end_matches('/')).into()
        }
        _ => path.into(),
    }
}

fn expand_vars(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, width) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        match env::var(name) {
            Ok(value) if !name.is_empty() => out.push_str(&value),
            // Unknown ones stay as they are.
            _ => out.extend(["$", &after[..width]]),
        }
        rest = &after[width..];
    }
    out.push_str(rest);
    out
}

/// As Python's `normpath`.
pub(in crate::expr) fn normal(path: &str) -> String {
    let root = match path {
        _ if path.starts_with("//") && !path.starts_with("///") => "//",
        _ if path.starts_with('/') => "/",
        _ => "",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match (part, parts.last()) {
            ("..", None) if !root.is_empty() => {}
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    let path = format!("{root}{}", parts.join("/"));
    if path.is_empty() { ".".to_owned() } else { path }
}

fn relative(path: &str, start: &str) -> String {
    let here = |path: &str| -> String {
        match path.starts_with('/') {
            true => normal(path),
            // Both are below the same directory, whatever that is.
            false => normal(&format!("/{path}")),
        }
    };
    let (path, start) = (here(path), here(start));
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (to, from) = (parts(&path), parts(&start));
    let same = to.iter().zip(&from).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - same);
    let relative: Vec<&str> = up.chain(to[same..].iter().map(String::as_str)).collect();
    if relative.is_empty() { ".".to_owned() } else { relative.join("/") }
}

fn join(parts: &[String]) -> String {
    parts.iter().fold(String::new(), |path, part| match part {
        part if path.is_empty() || part.starts_with('/') => part.clone(),
        part if path.ends_with('/') => path + part,
        part => format!("{path}/{part}"),
    })
}

fn common(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let paths: Vec<String> = call.items()?.iter().map(ToString::to_string).collect();
    let Some(first) = paths.first() else { return Err(call.wrong("takes at least one path")) };
    let absolute = first.starts_with('/');
    if paths.iter().any(|path| path.starts_with('/') != absolute) {
        return Err(wrong("`commonpath` takes absolute paths or relative ones, not both"));
    }
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|p| !matches!(*p, "" | ".")).map(str::to_owned).collect()
    };
    let same = paths.iter().map(|path| parts(path)).reduce(|same, path| {
        same.into_iter().zip(path).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
    });
    let root = if absolute { "/" } else { "" };
    Ok(format!("{root}{}", same.unwrap_or_default().join("/")).into())
}
