//! As much of JSON Schema as our schemas use.

use serde_json::Value;

/// What is wrong with `value`, each with its place.
pub(crate) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Check { root: schema }.check(schema, value, "", &mut found);
    found
}

struct Check<'s> {
    root: &'s Value,
}

impl Check<'_> {
    fn check(&self, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
        let Some(rules) = schema.as_object() else {
            if schema == &Value::Bool(false) {
                found.push(format!("{place}: nothing may be here"));
            }
            return;
        };
        for (rule, wanted) in rules {
            match rule.as_str() {
                "$ref" => {
                    let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                    self.check(self.root.pointer(pointer).unwrap(), value, place, found);
                }
                "type" if !has_type(wanted, value) => {
                    found.push(format!("{place}: {value} is not {wanted}"));
                }
                "const" if wanted != value => found.push(format!("{place}: not {wanted}")),
                "enum" if !wanted.as_array().unwrap().contains(value) => {
                    found.push(format!("{place}: {value} is none of {wanted}"));
                }
                "pattern" => {
                    let pattern = regex::Regex::new(wanted.as_str().unwrap()).unwrap();
                    if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                        found.push(format!("{place}: {value} does not match {wanted}"));
                    }
                }
                "anyOf" | "oneOf" => {
                    self.alternatives(rule, wanted.as_array().unwrap(), value, place, found);
                }
                "allOf" => {
                    for part in wanted.as_array().unwrap() {
                        self.check(part, value, place, found);
                    }
                }
                "required" => {
                    for key in wanted.as_array().unwrap() {
                        if value.is_object() && value.get(key.as_str().unwrap()).is_none() {
                            found.push(format!("{place}: lacks {key}"));
                        }
                    }
                }
                "items" => {
                    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(wanted, item, &format!("{place}/{at}"), found);
                    }
                }
                "properties" => {
                    for (key, part) in wanted.as_object().unwrap() {
                        if let Some(value) = value.get(key) {
                            self.check(part, value, &format!("{place}/{key}"), found);
                        }
                    }
                }
                "additionalProperties" => {
                    for (key, value) in value.as_object().into_iter().flatten() {
                        let known = rules.get("properties").and_then(|keys| keys.get(key));
                        if known.is_none() {
                            self.check(wanted, value, &format!("{place}/{key}"), found);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn alternatives(
        &self,
        rule: &str,
        parts: &[Value],
        value: &Value,
        place: &str,
        found: &mut Vec<String>,
    ) {
        let mut reasons = Vec::new();
        let mut fitting = 0;
        for part in parts {
            let before = reasons.len();
            self.check(part, value, place, &mut reasons);
            fitting += usize::from(reasons.len() == before);
        }
        match (rule, fitting) {
            (_, 0) => {
                found.push(format!("{place}: fits none of {} ways: {reasons:#?}", parts.len()));
            }
            ("oneOf", 2..) => found.push(format!("{place}: fits more than one way")),
            _ => {}
        }
    }
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match wanted {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}
