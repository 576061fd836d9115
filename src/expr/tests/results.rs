//! Tests of what a task came to.

use crate::expr::call::{Call, Callable};
use minijinja::Error;
use minijinja::value::{Value, ValueKind};

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["changed", "change"],
        "",
        |call| flag(call, "changed"),
        "The task changed something.",
        "result is changed",
    ),
    Callable::new(
        &["failed", "failure"],
        "",
        |call| flag(call, "failed"),
        "The task failed.",
        "result is failed",
    ),
    Callable::new(
        &["succeeded", "success", "successful"],
        "",
        |call| not(flag(call, "failed")),
        "The task did not fail.",
        "result is succeeded",
    ),
    Callable::new(
        &["skipped", "skip"],
        "",
        |call| flag(call, "skipped"),
        "The task was skipped.",
        "result is skipped",
    ),
    Callable::new(
        &["finished"],
        "",
        |call| state(call, "finished", true),
        "The task is done. All are, since none runs in the background.",
        "result is finished",
    ),
    Callable::new(
        &["started"],
        "",
        |call| state(call, "started", true),
        "The task has begun.",
        "result is started",
    ),
    Callable::new(
        &["unreachable"],
        "",
        |call| flag(call, "unreachable"),
        "The host could not be reached.",
        "result is unreachable",
    ),
    Callable::new(
        &["reachable"],
        "",
        |call| not(flag(call, "unreachable")),
        "The host could be reached.",
        "result is reachable",
    ),
    Callable::new(
        &["timedout"],
        "",
        |call| flag(call, "timedout"),
        "The task took too long.",
        "result is timedout",
    ),
];

fn not(held: Result<Value, Error>) -> Result<Value, Error> {
    Ok((!held?.is_true()).into())
}

/// A truth value of a task's registered result; results that lack it read as false.
fn flag(call: &Call<'_, '_, '_>, name: &str) -> Result<Value, Error> {
    if call.value.kind() != ValueKind::Map {
        let why =
            format!("tests the registered result of a task, and this is {}", call.value.kind());
        return Err(call.wrong(why));
    }
    let value = call.value.get_attr(name)?;
    if !value.is_undefined() || name != "skipped" && name != "changed" {
        return Ok(truth(&value).into());
    }
    // A loop's result is skipped or changed as its items are.
    let results = call.value.get_attr("results")?;
    let items: Vec<Value> = results.try_iter().into_iter().flatten().collect();
    let is_so = |item: &Value| item.get_attr(name).is_ok_and(|value| truth(&value));
    Ok(match name {
        "skipped" => !items.is_empty() && items.iter().all(is_so),
        _ => items.iter().any(is_so),
    }
    .into())
}

fn truth(value: &Value) -> bool {
    value.is_true()
}

/// A state that results of this program never lack.
fn state(call: &Call<'_, '_, '_>, name: &str, otherwise: bool) -> Result<Value, Error> {
    flag(call, name)?;
    let value = call.value.get_attr(name)?;
    Ok(if value.is_undefined() { otherwise } else { value.is_true() }.into())
}
