//! Python's methods of text, lists and mappings that task files call inside expressions.

use super::call::{list, wrong};
use super::format::braces;
use minijinja::value::{Kwargs, Tuple, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

/// Calls `method` on `value`; a method that is not known here is left to Jinja's own error.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => {
            let this = value.as_str().unwrap_or_default();
            match args.last().filter(|last| last.is_kwargs()) {
                Some(named) if method != "format" => {
                    text(this, method, &in_order(method, args, named)?)
                }
                _ => text(this, method, args),
            }
        }
        ValueKind::Map => mapping(state, value, method, args),
        ValueKind::Seq => sequence(value, method, args),
        ValueKind::Number => number(value, method, args),
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

/// Named arguments of the methods that playbooks name them for, in their places.
fn in_order(method: &str, args: &[Value], named: &Value) -> Result<Vec<Value>, Error> {
    let names: &[&str] = match method {
        "split" | "rsplit" => &["sep", "maxsplit"],
        "splitlines" => &["keepends"],
        _ => return Err(wrong(format!("`{method}` takes no named arguments"))),
    };
    let options = Kwargs::try_from(named.clone())?;
    let mut all = args[..args.len() - 1].to_vec();
    for name in names.iter().skip(all.len()) {
        all.push(options.get::<Option<Value>>(name)?.unwrap_or_else(|| Value::from(())));
    }
    options.assert_all_used()?;
    Ok(all)
}

fn tuple(parts: [&str; 3]) -> Value {
    Value::from_object(Tuple::new(parts.into_iter().map(Value::from).collect()))
}

/// A place in a text, in characters.
fn place(at: Option<usize>, this: &str) -> i64 {
    let at = at.and_then(|at| this.get(..at)).map(|before| before.chars().count());
    at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)
}

/// The ends that `startswith` and `endswith` are asked for: one, or one of several.
fn ends(args: &[Value]) -> Result<Vec<String>, Error> {
    let (ends,): (&Value,) = from_args(args)?;
    match (ends.as_str(), list(ends)) {
        (Some(end), _) => Ok(vec![end.to_owned()]),
        (None, Some(ends)) => Ok(ends.iter().map(ToString::to_string).collect()),
        _ => Err(wrong(format!("takes text or a list of texts, and this is {}", ends.kind()))),
    }
}

fn text(this: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let is_text = |fits: fn(char) -> bool| -> Result<Value, Error> {
        let () = from_args(args)?;
        Ok((!this.is_empty() && this.chars().all(fits)).into())
    };
    Ok(match method {
        "upper" => this.to_uppercase().into(),
        "lower" | "casefold" => this.to_lowercase().into(),
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
        "startswith" => ends(args)?.iter().any(|end| this.starts_with(end.as_str())).into(),
        "endswith" => ends(args)?.iter().any(|end| this.ends_with(end.as_str())).into(),
        "removeprefix" => {
            let (end,): (&str,) = from_args(args)?;
            this.strip_prefix(end).unwrap_or(this).into()
        }
        "removesuffix" => {
            let (end,): (&str,) = from_args(args)?;
            this.strip_suffix(end).unwrap_or(this).into()
        }
        "find" => place(this.find(from_args::<(&str,)>(args)?.0), this).into(),
        "rfind" => place(this.rfind(from_args::<(&str,)>(args)?.0), this).into(),
        "index" | "rindex" => {
            let (wanted,): (&str,) = from_args(args)?;
            let at = if method == "index" { this.find(wanted) } else { this.rfind(wanted) };
            if at.is_none() {
                return Err(wrong(format!("`{wanted}` is not in `{this}`")));
            }
            place(at, this).into()
        }
        "count" => this.matches(from_args::<(&str,)>(args)?.0).count().into(),
        "isdigit" | "isdecimal" | "isnumeric" => is_text(char::is_numeric)?,
        "isalpha" => is_text(char::is_alphabetic)?,
        "isalnum" => is_text(char::is_alphanumeric)?,
        "isspace" => is_text(char::is_whitespace)?,
        "isascii" => this.is_ascii().into(),
        "islower" => {
            (this.chars().any(char::is_lowercase) && !this.chars().any(char::is_uppercase)).into()
        }
        "isupper" => {
            (this.chars().any(char::is_uppercase) && !this.chars().any(char::is_lowercase)).into()
        }
        "isidentifier" => {
            let fits = |c: char| c.is_alphanumeric() || c == '_';
            (!this.is_empty() && this.chars().all(fits) && !this.starts_with(char::is_numeric))
                .into()
        }
        "replace" => {
            let (old, new, most): (&str, &str, Option<i64>) = from_args(args)?;
            match most.and_then(|most| usize::try_from(most).ok()) {
                Some(most) => this.replacen(old, new, most),
                None => this.replace(old, new),
            }
            .into()
        }
        "split" | "rsplit" => split(this, method, args)?,
        "partition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (a, b) = this.split_once(separator).map_or((this, None), |(a, b)| (a, Some(b)));
            tuple([a, if b.is_some() { separator } else { "" }, b.unwrap_or("")])
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (a, b) = this.rsplit_once(separator).map_or((None, this), |(a, b)| (Some(a), b));
            tuple([a.unwrap_or(""), if a.is_some() { separator } else { "" }, b])
        }
        "splitlines" => {
            let (keep,): (Option<bool>,) = from_args(args)?;
            match keep.unwrap_or(false) {
                true => this.split_inclusive('\n').map(Value::from).collect(),
                false => this.lines().map(Value::from).collect(),
            }
        }
        "join" => {
            let (items,): (&Value,) = from_args(args)?;
            let items = items.try_iter()?.map(|item| item.to_string());
            items.collect::<Vec<_>>().join(this).into()
        }
        "format" => braces(this, args)?.into(),
        "title" => title(this).into(),
        "capitalize" => {
            let mut rest = this.chars();
            let first = rest.next().map(char::to_uppercase);
            let first: String = first.into_iter().flatten().collect();
            (first + &rest.as_str().to_lowercase()).into()
        }
        "swapcase" => {
            let swap = |c: char| -> String {
                if c.is_uppercase() {
                    c.to_lowercase().collect()
                } else {
                    c.to_uppercase().collect()
                }
            };
            this.chars().map(swap).collect::<String>().into()
        }
        "zfill" | "ljust" | "rjust" | "center" => pad(this, method, args)?.into(),
        "expandtabs" => {
            let (size,): (Option<usize>,) = from_args(args)?;
            this.replace('\t', &" ".repeat(size.unwrap_or(8).min(64))).into()
        }
        "encode" | "decode" => this.into(),
        _ => return Err(ErrorKind::UnknownMethod.into()),
    })
}

fn title(this: &str) -> String {
    let mut out = String::with_capacity(this.len());
    let mut within = false;
    for c in this.chars() {
        match within {
            true => out.extend(c.to_lowercase()),
            false => out.extend(c.to_uppercase()),
        }
        within = c.is_alphabetic();
    }
    out
}

/// Text up to this long is made by padding.
const WIDEST: usize = 1 << 20;

fn pad(this: &str, method: &str, args: &[Value]) -> Result<String, Error> {
    let (width, fill): (usize, Option<&str>) = from_args(args)?;
    if width > WIDEST {
        return Err(wrong(format!("`{method}` makes texts of up to {WIDEST} characters")));
    }
    let fill = fill.unwrap_or(if method == "zfill" { "0" } else { " " });
    let free = width.saturating_sub(this.chars().count());
    Ok(match method {
        "ljust" => format!("{this}{}", fill.repeat(free)),
        "rjust" => format!("{}{this}", fill.repeat(free)),
        "center" => {
            // Python puts the odd one to the left where the width is odd too.
            let left = free / 2 + (free & width & 1);
            format!("{}{this}{}", fill.repeat(left), fill.repeat(free - left))
        }
        _ => {
            let at = usize::from(this.starts_with(['+', '-']));
            format!("{}{}{}", &this[..at], fill.repeat(free), &this[at..])
        }
    })
}

fn split(this: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (separator, most): (Option<&str>, Option<i64>) = from_args(args)?;
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX - 1);
    Ok(match (separator, method) {
        (Some(""), _) => return Err(wrong("split() wants a separator of at least one character")),
        (Some(separator), "split") => this.splitn(most + 1, separator).map(Value::from).collect(),
        (Some(separator), _) => {
            let mut parts: Vec<Value> =
                this.rsplitn(most + 1, separator).map(Value::from).collect();
            parts.reverse();
            parts.into()
        }
        (None, "split") => {
            let mut parts = Vec::new();
            let mut rest = this.trim_start();
            while !rest.is_empty() {
                let end = rest.find(char::is_whitespace).filter(|_| parts.len() < most);
                let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
                parts.push(Value::from(part));
                rest = after.trim_start();
            }
            parts.into()
        }
        (None, _) => {
            let mut parts = Vec::new();
            let mut rest = this.trim_end();
            while !rest.is_empty() {
                let start = rest.rfind(char::is_whitespace).filter(|_| parts.len() < most);
                let start =
                    start.map_or(0, |at| at + rest[at..].chars().next().map_or(0, char::len_utf8));
                let (before, part) = rest.split_at(start);
                parts.push(Value::from(part));
                rest = before.trim_end();
            }
            parts.reverse();
            parts.into()
        }
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
        "copy" => {
            let () = from_args(args)?;
            Ok(this.clone())
        }
        "get" => {
            let (key, other): (&Value, Option<&Value>) = from_args(args)?;
            let found = this.get_item(key)?;
            let missing = || other.cloned().unwrap_or_else(|| Value::from(()));
            Ok(if found.is_undefined() { missing() } else { found })
        }
        // What changes a value in place would change it for everybody who reads it.
        "update" | "pop" | "setdefault" | "clear" | "popitem" => Err(wrong(format!(
            "mappings cannot be changed, so that there is no `{method}`: use `combine`"
        ))),
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

fn sequence(this: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "index" => {
            let (wanted,): (&Value,) = from_args(args)?;
            let at = this.try_iter()?.position(|item| item == *wanted);
            at.map(Value::from).ok_or_else(|| wrong(format!("{wanted} is not in the list")))
        }
        "count" => {
            let (wanted,): (&Value,) = from_args(args)?;
            Ok(this.try_iter()?.filter(|item| item == wanted).count().into())
        }
        "copy" => {
            let () = from_args(args)?;
            Ok(this.clone())
        }
        "append" | "extend" | "insert" | "remove" | "pop" | "sort" | "reverse" | "clear" => {
            Err(wrong(format!(
                "lists cannot be changed, so that there is no `{method}`: make another one, \
                 `list + [item]`"
            )))
        }
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

fn number(this: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let () = from_args(args)?;
    match (method, this.as_i64()) {
        ("bit_length", Some(number)) => Ok((64 - number.unsigned_abs().leading_zeros()).into()),
        ("is_integer", whole) => Ok(whole.is_some().into()),
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}
