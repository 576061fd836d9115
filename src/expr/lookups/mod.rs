//! Look-ups: `lookup('file', 'motd')`, and what `with_…` loops go over.

pub(super) mod files;
mod lists;
mod password;
mod records;
mod variables;

use super::call::{Entry, wrong};
use super::collection;
use super::host::{self, Host};
use super::jinja::Problem;
use super::scope::Scope;
use indexmap::IndexMap;
use minijinja::value::{Kwargs, Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State};
use std::sync::Arc;

/// A look-up: what is told of it, and what finds its items.
struct LookUp {
    entry: Entry,
    run: fn(&Asked<'_>) -> Result<Vec<Value>, Error>,
}

impl LookUp {
    const fn new(
        names: &'static [&'static str],
        takes: &'static str,
        run: fn(&Asked<'_>) -> Result<Vec<Value>, Error>,
        about: &'static str,
        example: &'static str,
    ) -> Self {
        Self { entry: Entry { names, takes, about, example }, run }
    }
}

/// The tables, by subject.
const TABLES: &[(&str, &[LookUp])] = &[
    ("Files and programs", files::TABLE),
    ("Lists", lists::TABLE),
    ("Variables", variables::TABLE),
    ("Passwords", password::TABLE),
    ("Records in files", records::TABLE),
    ("Not supported", ABSENT),
];

const ABSENT: &[LookUp] = &[
    LookUp::new(
        &["url"],
        "*urls, **options",
        |asked| {
            Err(asked.wrong(
                "is off: fetch with the task `get_url` or `uri`, and read what that registers",
            ))
        },
        "Off: what is rendered should not wait for a network. Use a task and what it registers.",
        "lookup('url', 'https://example.com')",
    ),
    LookUp::new(
        &["config"],
        "*names, **options",
        |asked| Err(asked.wrong("reads settings of Ansible, and there are none")),
        "There are no settings of Ansible.",
        "lookup('config', 'DEFAULT_ROLES_PATH')",
    ),
    LookUp::new(
        &["unvault"],
        "*paths",
        |asked| Err(asked.wrong("is not there: secrets are written `{{ secrets.NAME }}`")),
        "Secrets are `{{ secrets.NAME }}`.",
        "lookup('unvault', 'key')",
    ),
    LookUp::new(
        &["inventory_hostnames"],
        "*patterns",
        |asked| Err(asked.wrong("needs an inventory, and each host knows only itself: `host`")),
        "There is no inventory: each host knows only itself.",
        "lookup('inventory_hostnames', 'all')",
    ),
];

/// All look-ups by subject, for the reference.
pub fn entries() -> impl Iterator<Item = (&'static str, Vec<&'static Entry>)> {
    TABLES
        .iter()
        .map(|(subject, table)| (*subject, table.iter().map(|look_up| &look_up.entry).collect()))
}

/// What one look-up is asked.
struct Asked<'a> {
    name: &'a str,
    terms: Vec<Value>,
    options: IndexMap<String, Value>,
    scope: &'a Scope,
}

impl Asked<'_> {
    fn wrong(&self, why: impl AsRef<str>) -> Error {
        wrong(format!("the look-up `{}` {}", self.name, why.as_ref()))
    }

    fn host(&self) -> Result<Arc<dyn Host>, Error> {
        host::in_scope(Some(self.scope), &format!("lookup('{}')", self.name))
    }

    fn option(&self, name: &str) -> Option<&Value> {
        self.options.get(name).filter(|value| !value.is_none())
    }

    fn flag(&self, name: &str, otherwise: bool) -> bool {
        self.option(name).map_or(otherwise, |value| match value.as_str() {
            Some(text) => matches!(text.to_ascii_lowercase().as_str(), "yes" | "true" | "1" | "on"),
            None => value.is_true(),
        })
    }

    /// The terms as text.
    fn names(&self) -> impl Iterator<Item = String> {
        self.terms.iter().map(ToString::to_string)
    }

    /// The terms, those that are lists opened.
    fn flat(&self) -> Vec<Value> {
        self.terms.iter().flat_map(opened).collect()
    }
}

/// The items of a list, or the value itself.
fn opened(value: &Value) -> Vec<Value> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => value.try_iter().into_iter().flatten().collect(),
        _ => vec![value.clone()],
    }
}

/// What the look-up `name` finds for `terms`, as a list: what a `with_NAME` loop goes over.
///
/// # Errors
/// Where there is no such look-up, and where it finds nothing that it was not told may be missing.
pub fn query(
    name: &str,
    terms: &[Value],
    options: IndexMap<String, Value>,
    scope: &Scope,
) -> Result<Vec<Value>, Problem> {
    Ok(find(name, terms.to_vec(), options, scope)?)
}

/// What is said of a look-up that is not there.
pub(super) fn unknown(name: &str) -> Problem {
    let all = entries().flat_map(|(_, entries)| entries).flat_map(|entry| entry.names);
    let near = super::suggest::nearest(name, all.copied());
    super::suggest::problem(format!("there is no look-up `{name}`"), near)
}

/// Whether there is a look-up of this name.
pub fn is_known(name: &str) -> bool {
    named(name).is_some()
}

fn named(name: &str) -> Option<&'static LookUp> {
    let name = collection::short(name);
    let mut all = TABLES.iter().flat_map(|(_, table)| table.iter());
    all.find(|look_up| look_up.entry.names.contains(&name))
}

fn find(
    name: &str,
    terms: Vec<Value>,
    options: IndexMap<String, Value>,
    scope: &Scope,
) -> Result<Vec<Value>, Error> {
    let look_up = named(name).ok_or_else(|| unknown(name).into_error())?;
    for value in terms.iter().chain(options.values()) {
        super::call::refuse_undefined(value)?;
    }
    let asked = Asked { name, terms, options, scope };
    (look_up.run)(&asked)
}

/// Makes `lookup`, `query` and `q` known to `environment`.
pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_function("lookup", |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| {
        call(state, args, false)
    });
    for name in ["query", "q"] {
        environment.add_function(name, |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| {
            call(state, args, true)
        });
    }
}

fn call(
    state: &mut State<'_, '_>,
    args: Rest<ValueOrKwargs>,
    as_list: bool,
) -> Result<Value, Error> {
    let mut terms = Vec::new();
    let mut options = IndexMap::new();
    for arg in args.into_values() {
        match Kwargs::try_from(arg.clone()) {
            Ok(kwargs) if arg.is_kwargs() => {
                for name in kwargs.args() {
                    options.insert(name.to_owned(), kwargs.peek::<Value>(name)?);
                }
            }
            _ => terms.push(arg),
        }
    }
    if terms.is_empty() {
        return Err(wrong("`lookup` needs the name of a look-up: lookup('file', 'motd')"));
    }
    let name = terms.remove(0).to_string();
    let as_list = options.shift_remove("wantlist").map_or(as_list, |value| value.is_true());
    let errors = options.shift_remove("errors").map_or_else(|| "strict".into(), |e| e.to_string());
    if !matches!(errors.as_str(), "strict" | "ignore" | "warn") {
        return Err(wrong(format!(
            "`lookup` takes strict, ignore or warn as `errors`, not `{errors}`"
        )));
    }
    let scope =
        Scope::of(state).ok_or_else(|| wrong("there are no look-ups in expressions on records"))?;
    let found = match find(&name, terms, options, &scope) {
        Ok(found) => found,
        Err(error) => {
            let problem = Problem::from(error);
            // What is not known yet is no error that could be ignored.
            if errors == "strict" || problem.depends_on.is_some() || problem.is_denial {
                return Err(problem.into_error());
            }
            if errors == "warn" {
                tracing::warn!("{problem}");
            }
            return Ok(if as_list { Vec::<Value>::new().into() } else { Value::from(()) });
        }
    };
    state.consume_fuel(found.len() as u64)?;
    Ok(if as_list { found.into() } else { joined(found) })
}

/// As `lookup` gives it: texts joined by commas, one item by itself.
fn joined(mut found: Vec<Value>) -> Value {
    if found.iter().all(|value| value.kind() == ValueKind::String) {
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        return texts.join(",").into();
    }
    if found.len() == 1 { found.remove(0) } else { found.into() }
}
