//! `getent`: what the host's databases say of users, groups, hosts, services.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use indexmap::IndexMap;
use minijinja::Value;

pub(super) static MODULE: Module = Module {
    name: "getent",
    summary: "Tells what a database of the host holds, as the variable `getent_DATABASE`.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("database", Kind::Text).required().says(
            "Which: `passwd`, `group`, `shadow`, `hosts`, `services`, or another that `getent` knows.",
        ),
        Param::new("key", Kind::Account).says("Only what it holds of this; all where not given."),
        Param::new("service", Kind::Text)
            .says("Where to look, such as `files`, in place of what the host is set up for."),
        Param::new("split", Kind::Text).says(
            "What separates the fields of a line: a colon for users and groups, blanks for others, \
             where not given.",
        ),
        Param::new("fail_key", Kind::Bool)
            .says("Fail where the database has no such key; true where not given."),
    ]),
    check: no_check,
    build: |params| Box::new(Getent { params }),
};

struct Getent {
    params: Params,
}

impl Task for Getent {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let database = params.text("database").unwrap_or_default();
        let key = params.text("key");
        let (code, said) = machine.getent(database, key, params.text("service"))?;
        let found = match (code, key) {
            (0, _) => self.fields(database, &said),
            (2, Some(key)) if !params.flag("fail_key", true) => {
                Value::from_pairs([(key, Value::from(()))])
            }
            (2, Some(key)) => {
                let why = format!("the database `{database}` has no `{key}`");
                let hint = Some("`fail_key: false` takes that for an answer".to_owned());
                return Err(Failure { hint, ..Failure::new(why) });
            }
            (3, _) => {
                let failure = Failure::new(format!("the database `{database}` tells no list"));
                let hint = Some("name a `key`".to_owned());
                return Err(Failure { hint, ..failure });
            }
            _ => return Err(Failure::new(format!("`getent` knows no database `{database}`"))),
        };
        let facts = Value::from_pairs([(format!("getent_{database}"), found)]);
        Ok(Outcome::default().with("ansible_facts", facts))
    }
}

impl Getent {
    /// By the first field of each line the others; several lines of one name are a list of lists.
    fn fields(&self, database: &str, said: &str) -> Value {
        let has_colons = matches!(database, "passwd" | "shadow" | "group" | "gshadow");
        let usual = if has_colons { Some(":") } else { None };
        let separator = self.params.text("split").filter(|text| !text.is_empty()).or(usual);
        let mut found: IndexMap<&str, Vec<Vec<&str>>> = IndexMap::new();
        for line in said.lines() {
            let mut fields = match separator {
                Some(separator) => line.split(separator).collect::<Vec<_>>(),
                None => line.split_whitespace().collect(),
            };
            if !fields.is_empty() {
                let name = fields.remove(0);
                found.entry(name).or_default().push(fields);
            }
        }
        let list =
            |fields: &Vec<&str>| fields.iter().map(|text| (*text).to_owned()).collect::<Value>();
        let value = |lines: &[Vec<&str>]| match lines {
            [one] => list(one),
            several => several.iter().map(list).collect(),
        };
        Value::from_pairs(found.iter().map(|(name, lines)| ((*name).to_owned(), value(lines))))
    }
}
