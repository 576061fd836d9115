//! `validate_argument_spec`: fails unless variables are what a role says that it takes.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check};
use crate::expr::value::{from_json, from_node, to_json};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use serde_json::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "validate_argument_spec",
    summary: "Fails unless variables are what a role says that it takes.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("argument_spec", Kind::Any)
            .required()
            .says("The options of the role, as `meta/argument_specs.yml` has them."),
        Param::new("provided_arguments", Kind::Any)
            .says("Values for them, before those of the variables of their names."),
        Param::new("validate_args_context", Kind::Any)
            .says("What the result says of where the options come from."),
    ]),
    check: no_check,
    build: |params| Box::new(Validate { params }),
};

struct Validate {
    params: Params,
}

impl Task for Validate {
    fn converge(&self, _: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let map = |name| match self.params.any(name).map(|node| to_json(&from_node(node))) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let (options, provided) = (map("argument_spec"), map("provided_arguments"));
        let mut given = Map::new();
        for name in options.keys() {
            let value = cx.scope.engine().evaluate(name, cx.scope)?;
            if !value.is_undefined() {
                given.insert(name.clone(), to_json(&value));
            }
        }
        given.extend(provided);
        let mut complaints = Vec::new();
        check(&options, &given, "", &mut complaints);
        let context = from_json(&Value::Object(map("validate_args_context")));
        let outcome = Outcome::default().with("validate_args_context", context);
        if complaints.is_empty() {
            let message = "The arg spec validation passed";
            return Ok(outcome.with("msg", message));
        }
        let why = format!("Validation of arguments failed:\n{}", complaints.join("\n"));
        let outcome = Outcome { failed: Some(why.clone()), ..outcome };
        let errors: minijinja::Value = complaints.into_iter().collect();
        Ok(outcome.with("argument_errors", errors).with("msg", why))
    }
}

/// Holds what is `given` against `options`; `within` names the option that they are parts of.
fn check(
    options: &Map<String, Value>,
    given: &Map<String, Value>,
    within: &str,
    complaints: &mut Vec<String>,
) {
    let found = |name: &str, option: &Value| {
        let aliases = option.get("aliases").and_then(Value::as_array);
        let aliases = aliases.into_iter().flatten().filter_map(Value::as_str);
        let mut names = [name].into_iter().chain(aliases);
        // As in Ansible, null is not given.
        names.find_map(|name| given.get(name)).filter(|value| !value.is_null())
    };
    let at = if within.is_empty() { String::new() } else { format!(" found in {within}") };
    let is_missing = |name: &str, option: &Value| {
        option.get("required").is_some_and(is_true)
            && option.get("default").is_none_or(Value::is_null)
            && found(name, option).is_none()
    };
    let missing = options.iter().filter(|(name, option)| is_missing(name, option));
    let missing: Vec<&str> = missing.map(|(name, _)| name.as_str()).collect();
    if !missing.is_empty() {
        complaints.push(format!("missing required arguments: {}{at}", missing.join(", ")));
    }
    for (name, option) in options {
        if let Some(value) = found(name, option) {
            let path = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
            check_one(option, value, &path, complaints);
        }
    }
}

fn check_one(option: &Value, value: &Value, path: &str, complaints: &mut Vec<String>) {
    let kind = option.get("type").and_then(Value::as_str).unwrap_or("str");
    let Some(read) = read(kind, value) else {
        complaints.push(unfit(&format!("argument '{path}'"), kind, value));
        return;
    };
    if let Some(choices) = option.get("choices").and_then(Value::as_array) {
        let items = read.as_array().map_or(std::slice::from_ref(&read), Vec::as_slice);
        let is_choice =
            |item: &Value| choices.iter().any(|it| it == item || text(it) == text(item));
        if let Some(odd) = items.iter().find(|item| !is_choice(item)) {
            let choices: Vec<String> = choices.iter().map(text).collect();
            let (choices, odd) = (choices.join(", "), text(odd));
            let what = if read.is_array() { "one or more of" } else { "one of" };
            complaints.push(format!("value of {path} must be {what}: {choices}, got: {odd}"));
        }
    }
    let items = read.as_array().map(Vec::as_slice);
    if let (Some(kind), Some(items)) = (option.get("elements").and_then(Value::as_str), items)
        && let Some(odd) = items.iter().find(|item| self::read(kind, item).is_none())
    {
        complaints.push(unfit(&format!("Elements value for option '{path}'"), kind, odd));
        return;
    }
    let Some(parts) = option.get("options").and_then(Value::as_object) else { return };
    for part in items.unwrap_or(std::slice::from_ref(&read)) {
        let Some(part) = read_dict(part) else { continue };
        let known = |name: &String| {
            let named = |option: &Value| {
                let aliases = option.get("aliases").and_then(Value::as_array);
                aliases.is_some_and(|aliases| aliases.iter().any(|alias| alias == name.as_str()))
            };
            parts.contains_key(name) || parts.values().any(named)
        };
        let odd: Vec<&str> = part.keys().filter(|name| !known(name)).map(String::as_str).collect();
        if !odd.is_empty() {
            let known: Vec<&str> = parts.keys().map(String::as_str).collect();
            let (odd, known) = (odd.join(", "), known.join(", "));
            complaints.push(format!(
                "{path}: unsupported parameters: {odd}. Supported parameters include: {known}"
            ));
        }
        check(parts, &part, path, complaints);
    }
}

fn unfit(what: &str, kind: &str, value: &Value) -> String {
    let found = match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    };
    format!("{what} is of type {found} and we were unable to convert to {kind}: `{}`", text(value))
}

/// The value as one of the type `kind`, where it can be that; a type that nobody knows takes all.
fn read(kind: &str, value: &Value) -> Option<Value> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    match kind {
        "int" => match value {
            Value::Number(number) if !number.is_f64() => Some(value.clone()),
            Value::Number(number) => {
                number.as_f64().filter(|it| it.fract() == 0.0).map(Value::from)
            }
            Value::String(text) => text.trim().parse::<i64>().ok().map(Value::from),
            _ => None,
        },
        "float" => match value {
            Value::Number(_) => Some(value.clone()),
            Value::String(text) => number(text).map(Value::from),
            _ => None,
        },
        "bool" => match text(value).to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "y" | "t" | "1.0" => Some(true.into()),
            "false" | "no" | "off" | "0" | "n" | "f" | "0.0" => Some(false.into()),
            _ => None,
        },
        "list" => match value {
            Value::Array(_) => Some(value.clone()),
            Value::String(text) => Some(text.split(',').map(Value::from).collect()),
            Value::Number(_) => Some([text(value)].into_iter().map(Value::from).collect()),
            _ => None,
        },
        "dict" => read_dict(value).map(Value::Object),
        "bytes" | "bits" => match value {
            Value::Number(_) => Some(value.clone()),
            Value::String(text) => {
                text.starts_with(|c: char| c.is_ascii_digit()).then(|| value.clone())
            }
            _ => None,
        },
        _ => Some(value.clone()),
    }
}

/// A mapping, also as JSON or as `key=value` words.
fn read_dict(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map.clone()),
        Value::String(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str(text).ok()
        }
        Value::String(text) => {
            let words = text.split([',', ' ']).filter(|word| !word.is_empty());
            let entry = |word: &str| word.split_once('=').map(|(key, it)| (key.into(), it.into()));
            words.map(entry).collect()
        }
        _ => None,
    }
}

fn is_true(value: &Value) -> bool {
    read("bool", value) == Some(Value::Bool(true))
}

/// The value as a person would write it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn complaints(options: &Value, given: &Value) -> Vec<String> {
        let mut complaints = Vec::new();
        check(options.as_object().unwrap(), given.as_object().unwrap(), "", &mut complaints);
        complaints
    }

    #[test]
    fn what_is_missing_odd_or_of_another_type_is_said() {
        let options = json!({
            "name": {"required": true},
            "port": {"type": "int"},
            "level": {"choices": ["low", "high"]},
            "hosts": {"type": "list", "elements": "dict", "options": {
                "ip": {"required": true}, "tags": {"type": "list", "elements": "int"},
            }},
            "size": {"required": true, "default": 1},
        });
        let given = json!({
            "port": "many", "level": "middle", "hosts": [{"ip": "::1", "tags": [1, "x"]}, {"pi": 1}],
        });
        assert_eq!(
            complaints(&options, &given),
            [
                "missing required arguments: name",
                "argument 'port' is of type str and we were unable to convert to int: `many`",
                "value of level must be one of: low, high, got: middle",
                "Elements value for option 'hosts.tags' is of type str and we were unable to convert to int: `x`",
                "hosts: unsupported parameters: pi. Supported parameters include: ip, tags",
                "missing required arguments: ip found in hosts",
            ]
        );
    }

    #[test]
    fn what_can_be_read_as_the_type_is_taken() {
        let options = json!({
            "i": {"type": "int"}, "f": {"type": "float"}, "b": {"type": "bool"},
            "l": {"type": "list"}, "d": {"type": "dict"}, "p": {"type": "path"},
            "c": {"type": "list", "choices": ["1", "2"]}, "none": {"type": "int"},
        });
        let given = json!({
            "i": " 12 ", "f": "1.5", "b": "yes", "l": "a,b", "d": "a=1 b=2", "p": "~/x",
            "c": [1, 2], "none": null,
        });
        assert_eq!(complaints(&options, &given), Vec::<String>::new());
    }
}
