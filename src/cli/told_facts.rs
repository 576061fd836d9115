//! A file with another host's facts: ours, or what Ansible's `setup` has found there.

use crate::event::fault::{Diagnostic, nearest};
use crate::host::facts::Facts;
use crate::sinks::apply::ansible_facts::told;
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

/// What stands between a host's name and what Ansible says of it, before the word for how it went.
const BAR: &str = " | ";
const ARROW: &str = " => ";

/// The facts of `host` in the file, by our names.
///
/// # Errors
/// Where it cannot be read, or is none of those, or is of other hosts.
pub(super) fn read(path: &Path, host: &str) -> Result<Map<String, Value>, Diagnostic> {
    let name = path.display();
    let plain = |message: String| Diagnostic::new(message, None);
    let text = fs::read_to_string(path)
        .map_err(|error| plain(format!("`{name}` cannot be read: {error}")))?;
    let text = block_of(&text, host).map_err(|why| plain(format!("`{name}`: {why}")))?;
    let facts = serde_json::Deserializer::from_str(text).into_iter().next().transpose();
    let facts =
        facts.map_err(|error| plain(format!("`{name}` holds no facts in JSON: {error}")))?;
    let hint = "`driftless facts --format json` prints them, and so does `ansible HOST -m setup`";
    let Some(Value::Object(facts)) = facts else {
        return Err(plain(format!("`{name}` holds no facts by their names")).hint(hint));
    };
    if let Some(Value::Object(setup)) = facts.get("ansible_facts") {
        return Ok(told(setup));
    }
    if facts.keys().any(|key| key.starts_with("ansible_")) {
        return Ok(told(&facts));
    }
    match facts.keys().find(|key| Facts::names().all(|known| known != *key)) {
        None => Ok(facts),
        Some(unknown) => {
            let near = nearest(unknown, Facts::names());
            let hint = near.map_or(hint.to_owned(), |near| format!("did you mean `{near}`?"));
            Err(plain(format!("`{name}`: there is no fact `{unknown}`")).hint(hint))
        }
    }
}

/// What Ansible says of the host where it says on its line which one that is
/// (`web1 | SUCCESS => {`), else the whole text. Where it is of one host alone, that is meant.
fn block_of<'t>(text: &'t str, host: &str) -> Result<&'t str, String> {
    let mut blocks = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let of = line.split_once(BAR).filter(|(name, _)| !name.starts_with(['{', ' ', '"']));
        if let (Some((name, _)), Some(arrow)) = (of, line.find(ARROW)) {
            blocks.push((name, &text[at + arrow + ARROW.len()..]));
        }
        at += line.len();
    }
    match blocks.as_slice() {
        [] => Ok(text),
        [(_, only)] => Ok(only),
        many => match many.iter().find(|(name, _)| *name == host) {
            Some((_, block)) => Ok(block),
            None => {
                let names: Vec<&str> = many.iter().map(|(name, _)| *name).collect();
                Err(format!("it is of {}, and not of `{host}`", names.join(", ")))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_taken_as_we_print_them_and_as_ansible_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("facts.json");
        let arch = |text: &str| {
            fs::write(&path, text).unwrap();
            let facts = read(&path, "web1").map_err(|why| why.to_string())?;
            Ok::<_, String>(facts["arch"].as_str().unwrap().to_owned())
        };
        let setup = |arch: &str| {
            format!(
                "{{\n    \"ansible_facts\": {{\n        \"ansible_architecture\": \"{arch}\"\n    }},\n    \"changed\": false\n}}\n"
            )
        };
        for text in [
            r#"{"arch": "x86_64"}"#.to_owned(),
            setup("x86_64"),
            r#"{"ansible_architecture": "x86_64", "ansible_local": {}}"#.to_owned(),
            format!("web1 | SUCCESS => {}", setup("x86_64")),
            format!("somebody | SUCCESS => {}", setup("x86_64")),
            format!("db1 | SUCCESS => {}web1 | SUCCESS => {}", setup("arm"), setup("x86_64")),
        ] {
            assert_eq!(arch(&text).as_deref(), Ok("x86_64"), "{text}");
        }
        let others = format!("a | SUCCESS => {}b | SUCCESS => {}", setup("x"), setup("y"));
        assert!(arch(&others).unwrap_err().ends_with("it is of a, b, and not of `web1`"));
        let failed = "web1 | UNREACHABLE! => {\"unreachable\": true}";
        assert!(arch(failed).unwrap_err().contains("there is no fact `unreachable`"));
    }
}
