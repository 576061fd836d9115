//! Python's methods of text and mappings that task files call inside expressions.

use minijinja::value::{Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

/// Calls `method` on `value`; a method that is not known here is left to Jinja's own error.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => text(value.as_str().unwrap_or_default(), method, args),
        ValueKind::Map => mapping(state, value, method, args),
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

fn text(this: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    Ok(match method {
        "upper" => this.to_uppercase().into(),
        "lower" => this.to_lowercase().into(),
        "strip" | "lstrip" | "rstrip" => {
            let (set,): (Option<&str>,) = from_args(args)?;
            let gone = |c: char| set.map_or(c.is_whitespace(), |set| set.contains(c));
            match method {
                "strip" => this.trim_matches(gone),
                "lstrip" => this.trim_start_matches(gone),
                _ => this.trim_end_matches(gone),
            }
            .into()
        }
        "startswith" => this.starts_with(from_args::<(&str,)>(args)?.0).into(),
        "endswith" => this.ends_with(from_args::<(&str,)>(args)?.0).into(),
        "find" => {
            let (wanted,): (&str,) = from_args(args)?;
            let at = this.find(wanted).map(|at| this[..at].chars().count());
            at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1).into()
        }
        "count" => this.matches(from_args::<(&str,)>(args)?.0).count().into(),
        "isdigit" => (!this.is_empty() && this.chars().all(|c| c.is_ascii_digit())).into(),
        "replace" => {
            let (old, new): (&str, &str) = from_args(args)?;
            this.replace(old, new).into()
        }
        "split" => {
            let (separator, most): (Option<&str>, Option<i64>) = from_args(args)?;
            let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX - 1);
            match separator {
                Some("") => {
                    let why = "split() wants a separator of at least one character";
                    return Err(Error::new(ErrorKind::InvalidOperation, why));
                }
                Some(separator) => this.splitn(most + 1, separator).map(Value::from).collect(),
                None => this.split_whitespace().map(Value::from).collect(),
            }
        }
        "splitlines" => this.lines().map(Value::from).collect(),
        "join" => {
            let (items,): (&Value,) = from_args(args)?;
            let items = items.try_iter()?.map(|item| item.to_string());
            items.collect::<Vec<_>>().join(this).into()
        }
        _ => return Err(ErrorKind::UnknownMethod.into()),
    })
}

fn mapping(
    state: &mut State<'_, '_>,
    this: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match method {
        "items" => {
            let () = from_args(args)?;
            state.apply_filter("items", std::slice::from_ref(this))
        }
        "keys" => {
            let () = from_args(args)?;
            Ok(this.try_iter()?.collect())
        }
        "values" => {
            let () = from_args(args)?;
            this.try_iter()?.map(|key| this.get_item(&key)).collect::<Result<Value, _>>()
        }
        "get" => {
            let (key, other): (&Value, Option<&Value>) = from_args(args)?;
            let found = this.get_item(key)?;
            let missing = || other.cloned().unwrap_or_else(|| Value::from(()));
            Ok(if found.is_undefined() { missing() } else { found })
        }
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}
