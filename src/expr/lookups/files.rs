//! Look-ups of files, programs and the environment.

use super::{Asked, LookUp};
use crate::expr::call::wrong;
use crate::expr::filters::path::expand_user;
use crate::expr::host::{Host, Kind, Unanswered};
use crate::expr::problem::Problem;
use crate::expr::syntax::Syntax;
use globset::GlobBuilder;
use minijinja::Error;
use minijinja::value::{Value, ValueKind};
use std::path::{Component, Path, PathBuf};

pub(super) const TABLE: &[LookUp] = &[
    LookUp::new(
        &["env"],
        "*names, default=''",
        |asked| {
            let value = |name: String| match std::env::var(name) {
                Ok(value) => value.into(),
                Err(_) => asked.options.get("default").cloned().unwrap_or_else(|| "".into()),
            };
            Ok(asked.names().map(value).collect())
        },
        "Environment variables of this program.",
        "lookup('env', 'HOME')",
    ),
    LookUp::new(
        &["file"],
        "*paths, lstrip=false, rstrip=true",
        file,
        "The text of files: relative paths are below `files/`, or where the tasks are.",
        "lookup('file', 'motd')",
    ),
    LookUp::new(
        &["fileglob"],
        "*patterns",
        |asked| {
            let host = asked.host()?;
            let mut found = Vec::new();
            for pattern in asked.names() {
                let pattern = expand_user(&pattern).into_owned();
                for path in candidates(&*host, "files", &pattern) {
                    let files = glob(&*host, &path)?;
                    if !files.is_empty() {
                        found.extend(files.into_iter().map(Value::from));
                        break;
                    }
                }
            }
            Ok(found)
        },
        "The files that patterns name.",
        "query('fileglob', '/etc/*.conf')",
    ),
    LookUp::new(
        &["first_found"],
        "*names, files=none, paths=none, skip=false",
        first_found,
        "The first of some files that there is.",
        "lookup('first_found', ['a.conf', 'b.conf'])",
    ),
    LookUp::new(
        &["lines"],
        "*commands",
        |asked| {
            let mut lines = Vec::new();
            for command in asked.names() {
                let text = run(asked, &command)?;
                lines.extend(text.lines().map(Value::from));
            }
            Ok(lines)
        },
        "The lines that commands of the shell write. They run in dry runs too, and must change nothing.",
        "query('lines', 'cat /etc/hosts')",
    ),
    LookUp::new(
        &["pipe"],
        "*commands",
        |asked| {
            let texts = asked
                .names()
                .map(|command| Ok(run(asked, &command)?.trim_end_matches(['\n', '\r']).into()));
            texts.collect()
        },
        "What commands of the shell write. They run in dry runs too, and must change nothing.",
        "lookup('pipe', 'uname -r')",
    ),
    LookUp::new(
        &["template"],
        "*paths, template_vars={}, trim_blocks=true, lstrip_blocks=false, **options",
        template,
        "What templates render to: relative paths are below `templates/`, or where the tasks are.",
        "lookup('template', 'site.j2')",
    ),
];

/// The paths that `name` may mean: in each place below `folder` first.
fn candidates(host: &dyn Host, folder: &str, name: &str) -> Vec<PathBuf> {
    if name.starts_with('/') {
        return vec![name.into()];
    }
    let places = host.places();
    let both = places.iter().flat_map(|place| [place.join(folder).join(name), place.join(name)]);
    both.map(|path| without_detours(&path)).collect()
}

/// The path without `..`, as far as the words of it go: a directory on the way need not be there.
fn without_detours(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(short.pop()),
            part => short.push(part),
        }
    }
    short
}

/// The file that `name` means, looked for in `folder` first.
pub(super) fn locate(host: &dyn Host, folder: &str, name: &str) -> Result<Option<PathBuf>, String> {
    let name = expand_user(name);
    for path in candidates(host, folder, &name) {
        if host.look(&path, true)?.is_some_and(|seen| seen.kind != Kind::Directory) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The text of the file that `name` means.
pub(super) fn read(asked: &Asked<'_>, folder: &str, name: &str) -> Result<String, Error> {
    read_as(asked, folder, name, "utf-8")
}

/// The same of a file in another encoding.
pub(super) fn read_as(
    asked: &Asked<'_>,
    folder: &str,
    name: &str,
    encoding: &str,
) -> Result<String, Error> {
    let host = asked.host()?;
    let told = |why: String| asked.wrong(why);
    let path = locate(&*host, folder, name).map_err(told)?;
    let path = path.ok_or_else(|| {
        let places = host.places();
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        let places = match &places[..] {
            [base] => format!("neither in {base}/{folder} nor in {base}"),
            _ => format!("nor in `{folder}` there; looked in {}", places.join(", ")),
        };
        asked.wrong(format!("finds no file `{name}`, {places}"))
    })?;
    let bytes = host.read(&path).map_err(told)?;
    let known = encoding_rs::Encoding::for_label(encoding.as_bytes());
    let known = known.ok_or_else(|| asked.wrong(format!("knows no encoding `{encoding}`")))?;
    let text = known.decode_without_bom_handling_and_without_replacement(&bytes);
    let told = || asked.wrong(format!("reads text, and {} is none", path.display()));
    Ok(text.ok_or_else(told)?.into_owned())
}

fn file(asked: &Asked<'_>) -> Result<Vec<Value>, Error> {
    let mut found = Vec::new();
    for name in asked.names() {
        let text = read(asked, "files", &name)?;
        let text = if asked.flag("lstrip", false) { text.trim_start() } else { &text };
        let text = if asked.flag("rstrip", true) { text.trim_end() } else { text };
        found.push(text.into());
    }
    Ok(found)
}

/// The files that a pattern names, sorted.
pub(in crate::expr) fn glob(host: &dyn Host, pattern: &Path) -> Result<Vec<String>, Error> {
    let told = |why: String| wrong(format!("the pattern `{}` fails: {why}", pattern.display()));
    let mut open = vec![PathBuf::new()];
    let mut parts = pattern.components().peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let text = part.as_os_str().to_string_lossy();
        if !matches!(part, Component::Normal(_)) || !text.contains(['*', '?', '[']) {
            open.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let glob = GlobBuilder::new(&text).literal_separator(true).build();
        let glob = glob.map_err(|error| told(error.to_string()))?.compile_matcher();
        let mut next = Vec::new();
        for dir in open {
            let dir_seen = host.look(&dir, true).map_err(told)?;
            if dir_seen.is_none_or(|seen| seen.kind != Kind::Directory) {
                continue;
            }
            let names = host.list(&dir).map_err(told)?;
            // As in a shell, hidden files are asked for by their dot.
            let fits = |name: &&String| {
                glob.is_match(name.as_str()) && (text.starts_with('.') || !name.starts_with('.'))
            };
            next.extend(names.iter().filter(fits).map(|name| dir.join(name)));
        }
        open = next;
        if is_last {
            break;
        }
    }
    let mut found = Vec::new();
    for path in open {
        if host.look(&path, true).map_err(told)?.is_some_and(|seen| seen.kind == Kind::File) {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}

/// Names to look for, in the order in which they count.
fn wanted(asked: &Asked<'_>) -> Result<(Vec<String>, bool), Error> {
    let words = |value: &Value| -> Vec<String> {
        match value.as_str() {
            Some(text) => text.split([',', ';', ':']).map(str::to_owned).collect(),
            None => super::opened(value).iter().map(ToString::to_string).collect(),
        }
    };
    let within = |paths: Vec<String>, files: Vec<String>| -> Vec<String> {
        if files.is_empty() {
            return paths;
        }
        if paths.is_empty() {
            return files;
        }
        let below = |path: &String| {
            let path = path.trim_end_matches('/').to_owned();
            files.iter().map(move |file| format!("{path}/{file}")).collect::<Vec<_>>()
        };
        paths.iter().flat_map(below).collect()
    };
    let of = |get: &dyn Fn(&str) -> Option<Value>| {
        let list = |name| get(name).filter(|v| !v.is_none() && !v.is_undefined());
        let list = |name| list(name).map(|value| words(&value)).unwrap_or_default();
        within(list("paths"), list("files"))
    };
    let mut skip = asked.flag("skip", false);
    let mut names = Vec::new();
    for term in asked.flat() {
        match term.kind() {
            ValueKind::Map => {
                names.extend(of(&|name| term.get_attr(name).ok()));
                skip |= term.get_attr("skip")?.is_true();
            }
            _ => {
                let paths = asked.option("paths").map(words).unwrap_or_default();
                names.extend(within(paths, vec![term.to_string()]));
            }
        }
    }
    if asked.terms.is_empty() || asked.option("files").is_some() {
        names.extend(of(&|name| asked.option(name).cloned()));
    }
    Ok((names, skip))
}

fn first_found(asked: &Asked<'_>) -> Result<Vec<Value>, Error> {
    let host = asked.host()?;
    let (names, skip) = wanted(asked)?;
    for name in &names {
        for folder in ["files", "templates", "vars"] {
            if let Some(path) = locate(&*host, folder, name).map_err(|why| asked.wrong(why))? {
                return Ok(vec![path.display().to_string().into()]);
            }
        }
    }
    if skip {
        return Ok(Vec::new());
    }
    Err(asked.wrong(format!("finds none of {}", names.join(", "))))
}

fn run(asked: &Asked<'_>, command: &str) -> Result<String, Error> {
    let output = asked.host()?.run(command);
    let output = output.map_err(|unanswered| match unanswered {
        Unanswered { why, is_denial: true } => {
            Problem { is_denial: true, ..Problem::new(why) }.into_error()
        }
        Unanswered { why, .. } => asked.wrong(format!("fails: {why}")),
    })?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

fn template(asked: &Asked<'_>) -> Result<Vec<Value>, Error> {
    let mut scope = asked.scope.clone();
    if scope.lookup("ansible_managed").is_undefined() {
        scope = scope.with_local("ansible_managed", "Ansible managed".into());
    }
    if let Some(vars) = asked.option("template_vars") {
        for (name, value) in crate::expr::value::pairs(vars) {
            scope = scope.with_local(&name, value);
        }
    }
    let mut syntax = Syntax {
        trim_blocks: asked.flag("trim_blocks", true),
        lstrip_blocks: asked.flag("lstrip_blocks", false),
        ..Syntax::default()
    };
    for (name, mark) in syntax.marks() {
        if let Some(given) = asked.option(name).and_then(|given| given.as_str().map(str::to_owned))
        {
            *mark = given;
        }
    }
    let mut found = Vec::new();
    for name in asked.names() {
        let text = read(asked, "templates", &name)?;
        let rendered = scope.engine().template(&text, syntax.clone(), &scope);
        let rendered = rendered.map_err(|problem| {
            let line = problem.line.map_or_else(String::new, |line| format!(":{line}"));
            let message = format!("{name}{line}: {problem}");
            crate::expr::jinja::Problem { message, ..problem }.into_error()
        })?;
        found.push(rendered.into());
    }
    Ok(found)
}
