//! What `~/`, `$NAME` and `${NAME}` stand for in paths and in the words of a command, where Ansible
//! replaces them although there is no shell.

use std::env;

/// A path with the home directory and the environment of whoever runs this. A name that the
/// environment has not stays as it is.
pub(super) fn expand_path(path: &str) -> String {
    expand_word(path, &[])
}

/// A word of a command; `environment` is what the task adds, which counts first.
pub(super) fn expand_word(word: &str, environment: &[(String, String)]) -> String {
    let value = |name: &str| {
        let given = environment.iter().rev().find(|(key, _)| key == name);
        given.map(|(_, value)| value.clone()).or_else(|| env::var(name).ok())
    };
    let word = expand_names(word, value);
    match (word.strip_prefix('~'), env::var("HOME")) {
        (Some(rest), Ok(home)) if rest.is_empty() || rest.starts_with('/') => home + rest,
        _ => word,
    }
}

fn expand_names(word: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut made = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, behind)) = rest.split_once('$') {
        made.push_str(before);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, length) = match behind.strip_prefix('{').and_then(|name| name.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let end = behind.find(|c| !is_part(c)).unwrap_or(behind.len());
                (&behind[..end], end)
            }
        };
        match value(name).filter(|_| !name.is_empty()) {
            Some(value) => {
                made.push_str(&value);
                rest = &behind[length..];
            }
            None => {
                made.push('$');
                rest = behind;
            }
        }
    }
    made + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_environment_are_replaced_where_it_has_them() {
        let environment = [("A", "first"), ("A", "x y"), ("B", "")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (word, wanted) in [
            ("$A", "x y"),
            ("-${A}b$B.", "-x yb."),
            ("$1 ${ $ ${} $NO_SUCH ${NO_SUCH}", "$1 ${ $ ${} $NO_SUCH ${NO_SUCH}"),
            (r"\$A", r"\x y"),
            ("a~/b", "a~/b"),
        ] {
            assert_eq!(expand_word(word, &environment), wanted, "{word}");
        }
    }

    #[test]
    fn a_home_that_a_name_stands_for_is_that_of_a_path() {
        let home = env::var("HOME").unwrap();
        for path in ["~/x", "$HOME/x", "${HOME}/x"] {
            assert_eq!(expand_path(path), format!("{home}/x"), "{path}");
        }
        assert_eq!(expand_path("/a$NO_SUCH_NAME/~"), "/a$NO_SUCH_NAME/~");
    }
}
