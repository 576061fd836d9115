//! What a loop runs over: a list, or what a look-up makes of it (`with_dict`, `with_nested`, …).

use super::keywords::{Control, Items};
use super::tasks::Failure;
use crate::event::tree::Node;
use crate::expr::scope::Scope;
use minijinja::Value;
use minijinja::value::ValueKind;

/// The items of a task's loop, rendered.
pub(super) fn resolve(items: &Items, scope: &Scope) -> Result<Vec<Value>, Failure> {
    let place = items.node.span.as_ref();
    let wrong = |why: String| {
        let place = place.map_or_else(String::new, |place| format!("{place}: "));
        Failure::new(format!("{place}{why}"))
    };
    let engine = scope.engine();
    let Some(lookup) = items.lookup.as_deref() else {
        let value =
            engine.render_value(&items.node, scope).map_err(|problem| problem.located(place))?;
        let why = || format!("a loop runs over a list, and this is {}", kind(&value));
        return list(&value).ok_or_else(|| wrong(why()));
    };
    // As for look-ups in Ansible, text is a list of one, and a bare name may be a variable's.
    let terms = terms(&items.node, scope)?;
    let found = by_engine(lookup, terms, scope);
    found.map_err(|failure| Failure { message: wrong(failure.message).message, ..failure })
}

/// `ansible_loop`: where in the loop an item is.
pub(super) fn place_in(items: &[Value], at: usize, control: &Control) -> Value {
    let (number, length) = (at + 1, items.len());
    let mut known = vec![
        ("index", Value::from(number)),
        ("index0", at.into()),
        ("revindex", (length - at).into()),
        ("revindex0", (length - number).into()),
        ("first", (at == 0).into()),
        ("last", (number == length).into()),
        ("length", length.into()),
    ];
    if control.extended_allitems {
        known.push(("allitems", items.iter().cloned().collect()));
    }
    if let Some(before) = at.checked_sub(1).and_then(|at| items.get(at)) {
        known.push(("previtem", before.clone()));
    }
    if let Some(after) = items.get(number) {
        known.push(("nextitem", after.clone()));
    }
    Value::from_pairs(known)
}

fn terms(node: &Node, scope: &Scope) -> Result<Vec<Value>, Failure> {
    let place = node.span.as_ref();
    let engine = scope.engine();
    let mut value = engine.render_value(node, scope).map_err(|problem| problem.located(place))?;
    if let (Some(name), true) = (value.as_str(), node.as_str() == value.as_str()) {
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.[]'".contains(c));
        value = match engine.evaluate(name, scope) {
            Ok(found) if is_name && !found.is_undefined() => found,
            _ => value,
        };
    }
    Ok(list(&value).unwrap_or_else(|| vec![value]))
}

/// What an expression would get of the look-up `name`.
fn by_engine(name: &str, terms: Vec<Value>, scope: &Scope) -> Result<Vec<Value>, Failure> {
    let scope = scope.with_local("__terms", terms.into()).with_local("__name", name.into());
    let found = scope.engine().evaluate("query(__name, *__terms)", &scope).map_err(|problem| {
        let failure = Failure::from(problem);
        Failure { message: format!("`with_{name}`: {}", failure.message), ..failure }
    })?;
    list(&found).ok_or_else(|| Failure::new(format!("`with_{name}` gives no list")))
}

fn list(value: &Value) -> Option<Vec<Value>> {
    let is_list = matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable);
    is_list.then(|| value.try_iter().into_iter().flatten().collect())
}

fn kind(value: &Value) -> String {
    match value.kind() {
        ValueKind::String => "text".into(),
        ValueKind::Map => "a mapping".into(),
        ValueKind::None => "nothing".into(),
        other => format!("a {other}"),
    }
}
