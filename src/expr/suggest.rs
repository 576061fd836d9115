//! "Did you mean": the nearest known name, for errors.

use super::jinja::Problem;
use minijinja::Error;

/// The name most like `wrong`, where one is like it at all.
pub(super) fn nearest<'n>(wrong: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    let score = |name: &'n str| (strsim::damerau_levenshtein(wrong, name), name);
    let (distance, name) = known.map(score).min()?;
    (distance <= 1 + wrong.chars().count() / 4 && distance < wrong.len()).then(|| name.to_owned())
}

/// The problem with the hint to use `near`.
pub(super) fn problem(message: impl Into<String>, near: Option<String>) -> Problem {
    let hint = near.map(|name| format!("did you mean `{name}`?"));
    Problem { hint, ..Problem::new(message) }
}

/// The same as an error of the library.
pub(super) fn error(message: impl Into<String>, near: Option<String>) -> Error {
    problem(message, near).into_error()
}
