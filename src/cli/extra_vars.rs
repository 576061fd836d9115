//! Variables from the command line: `--extra-vars`.

use crate::config::read::{Dialect, Format, read_file, read_text};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Node, SourceFile};
use crate::expr::scope::{RESERVED, Vars};
use crate::sinks::apply::words::{Quotes, split};
use std::path::Path;
use std::sync::Arc;

/// What such an option can be.
const FORMS: &str = "write `name=value`, `@FILE`, or a mapping in YAML or JSON";

/// Reads all of them; a later one hides an earlier one of the same name.
///
/// # Errors
/// What is wrong with any of them.
pub(super) fn read(options: &[String]) -> Result<Vars, Vec<Diagnostic>> {
    let mut vars = Vars::new();
    let mut complaints = Vec::new();
    for option in options {
        match read_one(option) {
            Ok(more) => vars.extend(more),
            Err(more) => complaints.extend(more),
        }
    }
    if let Some(name) = vars.keys().find(|name| RESERVED.contains(&name.as_str())) {
        let message = format!("--extra-vars: the name `{name}` is taken");
        complaints.push(Diagnostic::new(message, None));
    }
    if complaints.is_empty() { Ok(vars) } else { Err(complaints) }
}

fn read_one(option: &str) -> Result<Vars, Vec<Diagnostic>> {
    if let Some(path) = option.strip_prefix('@') {
        return mapping(&read_file(Path::new(path), Dialect::Yaml11)?);
    }
    if option.trim_start().starts_with('{') {
        let path = Path::new("--extra-vars").into();
        let file = Arc::new(SourceFile::new(path, option.to_owned()));
        return mapping(&read_text(&file, Format::Yaml, Dialect::Yaml11)?);
    }
    let complain =
        |why: String| vec![Diagnostic::new(format!("--extra-vars: {why}"), None).hint(FORMS)];
    let words = split(option, Quotes::Resolve)
        .map_err(|quote| complain(format!("a quote ({quote}) is opened and not closed")))?;
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), Node::string(value))),
        _ => Err(complain(format!("`{word}` gives no variable a value"))),
    };
    words.iter().map(pair).collect()
}

fn mapping(node: &Node) -> Result<Vars, Vec<Diagnostic>> {
    let Some(entries) = node.as_map() else {
        let message = format!("found {}, expected names with their values", node.kind());
        return Err(vec![Diagnostic::new(message, node.span.clone())]);
    };
    Ok(entries.iter().map(|(key, value)| (key.name.to_string(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(options: &[&str]) -> Result<Vars, String> {
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        read(&options).map_err(|complaints| complaints[0].to_string())
    }

    #[test]
    fn variables_are_pairs_or_mappings_and_the_last_one_counts() {
        let found = vars(&["port=1 name='a b'", "{port: 2, tags: [x]}"]).unwrap();
        assert_eq!(found["port"].scalar_text(), Some("2"));
        assert_eq!(found["name"].scalar_text(), Some("a b"));
        assert_eq!(found["tags"].as_list().map(<[Node]>::len), Some(1));
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for wrong in ["port", "=1", "{port", "host=web1", "@/nonexistent.yml", "a='b"] {
            assert!(vars(&[wrong]).is_err(), "{wrong}");
        }
    }
}
