//! What is another between two looks at a host.

use serde_json::Value;

/// A value that is another, was not there before, or is gone.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    /// Its name, with dots between the steps: `packages.bash.version`.
    pub(super) fact: String,
    /// What it was; `null` where it was not there.
    pub(super) old: Value,
    /// What it is; `null` where it is gone.
    pub(super) new: Value,
}

/// The smallest parts that are others. A list is one part.
pub(super) fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    add(String::new(), old, new, &mut found);
    found
}

fn add(path: String, old: &Value, new: &Value, found: &mut Vec<Change>) {
    if old == new {
        return;
    }
    let (Value::Object(before), Value::Object(now)) = (old, new) else {
        found.push(Change { fact: path, old: old.clone(), new: new.clone() });
        return;
    };
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, old) in before {
        add(below(name), old, now.get(name).unwrap_or(&Value::Null), found);
    }
    for (name, new) in now.iter().filter(|(name, _)| !before.contains_key(*name)) {
        add(below(name), &Value::Null, new, found);
    }
}

/// The facts without what is another at every look.
pub(super) fn without_the_momentary(mut facts: Value) -> Value {
    let mut leave_out = |fact: &str, names: &[&str]| {
        if let Some(parts) = facts.get_mut(fact).and_then(Value::as_object_mut) {
            parts.retain(|name, _| !names.contains(&name.as_str()));
        }
    };
    leave_out("cpu", &["speed_mhz"]);
    leave_out("memory", &["free_bytes", "available_bytes", "swap_free_bytes"]);
    for (fact, names) in
        [("mounts", ["free_bytes", "available_bytes"]), ("services", ["state", "sub"])]
    {
        let things = facts.get_mut(fact).and_then(Value::as_object_mut).into_iter().flatten();
        for thing in things.filter_map(|(_, thing)| thing.as_object_mut()) {
            thing.retain(|name, _| !names.contains(&name.as_str()));
        }
    }
    if let Some(facts) = facts.as_object_mut() {
        facts.retain(|name, _| !["load", "uptime_seconds"].contains(&name.as_str()));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_another_is_told_with_its_whole_name() {
        let old = json!({"os": {"id": "debian", "version": "12"}, "users": {"bob": {"uid": 7}},
                         "dns": {"search": ["a"]}});
        let new = json!({"os": {"id": "debian", "version": "13"}, "users": {"eve": {"uid": 8}},
                         "dns": {"search": ["a", "b"]}});
        let told: Vec<_> = changes(&old, &new).into_iter().map(|it| it.fact).collect();
        assert_eq!(told, ["os.version", "users.bob", "users.eve", "dns.search"]);
        assert!(changes(&new, &new).is_empty());
    }

    #[test]
    fn what_changes_by_itself_is_no_change() {
        let look = |free: u64| {
            json!({
                "load": {"one": free}, "uptime_seconds": free,
                "cpu": {"count": 2, "speed_mhz": free},
                "memory": {"total_bytes": 8, "free_bytes": free},
                "mounts": {"/": {"size_bytes": 9, "free_bytes": free}},
                "services": {"ssh": {"enabled": "enabled", "state": free, "sub": free}},
            })
        };
        assert_eq!(without_the_momentary(look(1)), without_the_momentary(look(2)));
        assert_eq!(without_the_momentary(look(1))["memory"]["total_bytes"], 8);
    }
}
