//! Facts as expressions see them: a mapping whose entries are gathered when one names them.

use std::sync::{Arc, OnceLock};

use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use serde_json::Value as Json;

use super::{FACTS, Facts};

/// The names alone, as the template engine wants them.
const NAMES: [&str; FACTS.len()] = {
    let mut names = [""; FACTS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = FACTS[at].0;
        at += 1;
    }
    names
};

/// `facts` in expressions. A condition costs the facts that it names; each is gathered once for
/// all expressions that are given the same value.
pub fn facts_value(facts: &Arc<Facts>) -> Value {
    let values = std::array::from_fn(|_| OnceLock::new());
    Value::from_object(Lazy { facts: Arc::clone(facts), values })
}

#[derive(Debug)]
struct Lazy {
    facts: Arc<Facts>,
    values: [OnceLock<Value>; FACTS.len()],
}

impl Object for Lazy {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let at = NAMES.binary_search(&name).ok()?;
        let value = || self.facts.get(name).map_or(Value::UNDEFINED, from_json);
        Some(self.values[at].get_or_init(value).clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&NAMES)
    }
}

/// The same data in the template engine's form.
fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole),
            None => number.as_f64().map_or(Value::UNDEFINED, Value::from),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(from_json).collect(),
        Json::Object(entries) => {
            Value::from_pairs(entries.iter().map(|(name, value)| (name.as_str(), from_json(value))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::roots::Roots;
    use minijinja::{Environment, context};
    use std::path::Path;

    #[test]
    fn a_condition_gathers_the_facts_that_it_names_and_no_others() {
        let facts = Arc::new(Facts::new(Roots::below(Path::new("tests/fixtures/host"))));
        let environment = Environment::new();
        let holds = |condition: &str| {
            let condition = environment.compile_expression(condition).unwrap();
            condition.eval(context! { facts => facts_value(&facts) }).unwrap().is_true()
        };
        assert!(holds("facts.os.family == 'debian' and facts.cpu.count == 2"));
        assert!(holds("'www-data' in facts.users and 'bob' not in facts.users"));
        assert!(holds("not facts.container and facts.memory.total_bytes > 8 * 1000 ** 3"));
        assert!(holds("facts.no_such_fact is undefined"));
        let gathered = facts.gathered.iter().filter(|fact| fact.get().is_some()).count();
        assert_eq!(gathered, 5, "os, cpu, users, container, memory");
    }
}
