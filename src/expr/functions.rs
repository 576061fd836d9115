//! Functions that templates may call: `now`, `undef`, `cycler`, `joiner`. (`range`, `dict` and
//! `namespace` are the library's, `lookup` and `query` those of the look-ups.)

use super::call::wrong;
use super::host;
use indexmap::IndexMap;
use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, Value, ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, State};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Makes the functions known to `environment`.
pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_function(
        "now",
        |state: &mut State<'_, '_>, utc: Option<bool>, form: Option<&str>, options: Kwargs| {
            now(state, utc, form, &options)
        },
    );
    environment.add_function(
        "dict",
        |pairs: Option<&Value>, named: Kwargs| -> Result<Value, Error> {
            let mut map: IndexMap<Value, Value> = IndexMap::new();
            if let Some(pairs) = pairs {
                match pairs.kind() {
                    ValueKind::Map => map.extend(super::filters::entries_of(pairs)),
                    _ => {
                        for pair in pairs.try_iter()? {
                            map.insert(pair.get_item_by_index(0)?, pair.get_item_by_index(1)?);
                        }
                    }
                }
            }
            for name in named.args() {
                map.insert(name.into(), named.peek(name)?);
            }
            Ok(map.into())
        },
    );
    environment.add_function("undef", |_hint: Option<&Value>, options: Kwargs| {
        options.get::<Option<&str>>("hint")?;
        options.assert_all_used()?;
        Ok::<_, Error>(Value::UNDEFINED)
    });
    environment.add_function("cycler", |items: Rest<Value>| match items.is_empty() {
        true => Err(wrong("`cycler` needs at least one item")),
        false => Ok(Value::from_object(Cycler { items: items.0, at: AtomicUsize::new(0) })),
    });
    environment.add_function("joiner", |separator: Option<&str>| {
        let separator = separator.unwrap_or(", ").to_owned();
        Value::from_object(Joiner { separator, used: Mutex::new(false) })
    });
}

fn now(
    state: &mut State<'_, '_>,
    utc: Option<bool>,
    form: Option<&str>,
    options: &Kwargs,
) -> Result<Value, Error> {
    let utc = utc.or(options.get("utc")?).unwrap_or(false);
    let form = match form {
        Some(form) => Some(form.to_owned()),
        None => options.get::<Option<String>>("fmt")?,
    };
    options.assert_all_used()?;
    let seconds = host::of(state, "now")?.now();
    let now = super::filters::now(seconds, utc);
    let now = now.ok_or_else(|| wrong("the clock is out of range"))?;
    match form {
        Some(form) => now.call_method(state, "strftime", &[form.into()]),
        None => Ok(now),
    }
}

/// Goes round and round.
#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    at: AtomicUsize,
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = self.at.load(Ordering::Relaxed) % self.items.len();
        (key.as_str()? == "current").then(|| self.items.get(at).cloned())?
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let () = from_args(args)?;
        match method {
            "next" => {
                let at = self.at.fetch_add(1, Ordering::Relaxed) % self.items.len();
                Ok(self.items.get(at).cloned().unwrap_or_default())
            }
            "reset" => {
                self.at.store(0, Ordering::Relaxed);
                Ok(Value::from(()))
            }
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }
}

/// Nothing the first time, then a separator.
#[derive(Debug)]
struct Joiner {
    separator: String,
    used: Mutex<bool>,
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let () = from_args(args)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if *used { self.separator.as_str() } else { "" };
        *used = true;
        Ok(text.into())
    }
}
