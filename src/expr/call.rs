//! One call of a filter or a test: what it was given, by the names of its parameters. And the
//! entries of the tables that filters, tests and look-ups are listed in.

use super::scope::Scope;
use indexmap::IndexMap;
use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Error, ErrorKind, State};

/// Something that can be called by name in an expression. The reference is made from these.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name, and others for the same.
    pub names: &'static [&'static str],
    /// Its parameters beside the value before the `|` or `is`, as they are written in a call:
    /// `pattern, ignorecase=false, *others, **options`.
    pub takes: &'static str,
    /// What it is for, in one sentence.
    pub about: &'static str,
    /// An example and what it yields.
    pub example: &'static str,
}

/// What runs when a filter or test is called.
pub(super) type Run = fn(&mut Call<'_, '_, '_>) -> Result<Value, Error>;

/// A filter or test of ours: what is told of it, and what it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Callable {
    pub(super) entry: Entry,
    pub(super) run: Run,
    /// Whether it may be asked about, and given, what is not defined.
    pub(super) takes_undefined: bool,
    /// Whether its result gives away what it was made from, or can be used in its place.
    pub(super) derives: bool,
}

impl Callable {
    pub(super) const fn new(
        names: &'static [&'static str],
        takes: &'static str,
        run: Run,
        about: &'static str,
        example: &'static str,
    ) -> Self {
        let entry = Entry { names, takes, about, example };
        Self { entry, run, takes_undefined: false, derives: false }
    }

    /// May be asked about, and given, what is not defined.
    pub(super) const fn lenient(self) -> Self {
        Self { takes_undefined: true, ..self }
    }

    /// What it makes from a secret is secret too.
    pub(super) const fn derives(self) -> Self {
        Self { derives: true, ..self }
    }

    /// As the library takes it: the whole call, once more for each of its names.
    pub(super) fn function(
        &'static self,
    ) -> impl Fn(&mut State<'_, '_>, Rest<ValueOrKwargs>) -> Result<Value, Error> + Copy {
        move |state, args| {
            let mut call = Call::bind(&self.entry, state, args)?;
            let values = std::iter::once(&call.value).chain(call.given.values());
            for value in values.chain(&call.rest) {
                if !(self.takes_undefined && value.is_undefined()) {
                    refuse_undefined(value)?;
                }
            }
            let result = (self.run)(&mut call)?;
            if self.derives
                && let (Some(scope), Some(text)) = (call.scope(), result.as_str())
            {
                scope.keep_secret(&call.value, text);
            }
            Ok(result)
        }
    }
}

/// The error of a value that is one, or that is not defined.
pub(super) fn refuse_undefined(value: &Value) -> Result<(), Error> {
    match value.kind() {
        // The library's own error knows the name.
        ValueKind::Undefined | ValueKind::Invalid => value.get_attr("").map(drop),
        _ => Ok(()),
    }
}

/// A call with its arguments sorted out.
pub(super) struct Call<'c, 't, 'e> {
    /// What the expression runs in.
    pub(super) state: &'c mut State<'t, 'e>,
    /// The value before the `|` or `is`.
    pub(super) value: Value,
    /// Arguments by the name of their parameter.
    pub(super) given: IndexMap<String, Value>,
    /// What is left of the positional arguments, for a signature that ends with `*`.
    pub(super) rest: Vec<Value>,
    name: &'static str,
}

impl<'c, 't, 'e> Call<'c, 't, 'e> {
    fn bind(
        entry: &'static Entry,
        state: &'c mut State<'t, 'e>,
        args: Rest<ValueOrKwargs>,
    ) -> Result<Self, Error> {
        let name = entry.names.first().copied().unwrap_or_default();
        let mut args = args.into_values().into_iter();
        let value = args.next().unwrap_or_default();
        let mut call = Self { state, value, given: IndexMap::new(), rest: Vec::new(), name };
        let parameters = || entry.takes.split(',').map(str::trim).filter(|name| !name.is_empty());
        let plain = |parameter: &'static str| {
            let name = parameter.split('=').next().unwrap_or(parameter);
            (!name.starts_with('*')).then_some(name)
        };
        let mut positional = parameters().map_while(plain).fuse();
        let takes_rest =
            parameters().any(|p| p.starts_with('*') && p.len() > 1 && !p.starts_with("**"));
        let takes_any = parameters().any(|p| p.starts_with("**"));
        for arg in args {
            if arg.is_kwargs() {
                for key in arg.try_iter()? {
                    let key = key.to_string();
                    let known = takes_any || parameters().filter_map(plain).any(|p| p == key);
                    if !known {
                        return Err(call.wrong(format!("takes no `{key}`{}", offer(entry))));
                    }
                    let value = arg.get_attr(&key)?;
                    call.given.insert(key, value);
                }
                continue;
            }
            match positional.next() {
                Some(name) => {
                    call.given.insert(name.to_owned(), arg);
                }
                None if takes_rest => call.rest.push(arg),
                None => return Err(call.wrong(format!("takes no more than {}", offered(entry)))),
            }
        }
        let missing = parameters()
            .filter(|p| !p.contains('=') && !p.starts_with('*'))
            .find(|p| !call.given.contains_key(*p));
        match missing {
            Some(name) => Err(call.wrong(format!("needs `{name}`{}", offer(entry)))),
            None => Ok(call),
        }
    }

    /// The complaint that begins with the name of what was called.
    pub(super) fn wrong(&self, why: impl AsRef<str>) -> Error {
        wrong(format!("`{}` {}", self.name, why.as_ref()))
    }

    /// The name under which it was entered.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The names in scope; `None` on the path of records, which have a scope of their own.
    pub(super) fn scope(&self) -> Option<Scope> {
        Scope::of(self.state)
    }

    /// An argument, unless it was not given or is null.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.given.get(name).filter(|value| !value.is_none())
    }

    /// An argument that has no default.
    pub(super) fn need(&self, name: &str) -> Result<&Value, Error> {
        self.given.get(name).ok_or_else(|| self.wrong(format!("needs `{name}`")))
    }

    /// An argument as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(ToString::to_string)
    }

    /// A switch.
    pub(super) fn flag(&self, name: &str, otherwise: bool) -> bool {
        self.given.get(name).map_or(otherwise, Value::is_true)
    }

    /// A whole number.
    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
        let told =
            || self.wrong(format!("takes a whole number as `{name}`, and this is `{value}`"));
        number.map(Some).ok_or_else(told)
    }

    /// A number from 0 on that memory has room for.
    pub(super) fn count(&self, name: &str, otherwise: usize) -> Result<usize, Error> {
        let Some(number) = self.int(name)? else { return Ok(otherwise) };
        let fits = usize::try_from(number).ok().filter(|number| *number <= 1 << 20);
        fits.ok_or_else(|| self.wrong(format!("takes from 0 to 1048576 as `{name}`, not {number}")))
    }

    /// The value before the `|` as a list's items.
    pub(super) fn items(&self) -> Result<Vec<Value>, Error> {
        let items = list(&self.value);
        let items = items.ok_or_else(|| self.expected("a list"))?;
        self.state.consume_fuel(items.len() as u64)?;
        Ok(items)
    }

    /// An argument as a list's items.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Value>, Error> {
        let value = self.need(name)?;
        let told = || self.wrong(format!("takes a list as `{name}`, and this is {}", value.kind()));
        list(value).ok_or_else(told)
    }

    /// The complaint that the value before the `|` is of the wrong kind.
    pub(super) fn expected(&self, what: &str) -> Error {
        self.wrong(format!("takes {what}, and this is {}", self.value.kind()))
    }
}

/// The items of a list, or of anything that is gone through; a mapping's are its keys.
pub(super) fn list(value: &Value) -> Option<Vec<Value>> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            Some(value.try_iter().ok()?.collect())
        }
        _ => None,
    }
}

fn offered(entry: &Entry) -> String {
    match entry.takes {
        "" => "the value itself".to_owned(),
        takes => format!("({takes})"),
    }
}

fn offer(entry: &Entry) -> String {
    match entry.takes {
        "" => String::new(),
        takes => format!("; it takes ({takes})"),
    }
}

/// What makes no sense.
pub(super) fn wrong(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, why.into())
}
