//! What the tasks about users and groups share.

use super::Failure;
use crate::event::fault::Diagnostic;
use crate::host::accounts::{field_fault, name_fault};
use crate::sinks::apply::params::{Kind, Param, Params};

/// Only what the host's own files name.
pub(super) const LOCAL: Param = Param::new("local", Kind::Bool).says(
    "Look only into the host's own files, not into a directory service that it asks too. It is always \
     the files that are changed.",
);

/// What can be said against the name, and against the numbers called `names`. A name that only a new
/// one cannot have is refused when it would be made.
pub(super) fn check(params: &Params, names: &[&str]) -> Vec<Diagnostic> {
    let fault = |name: &&str| {
        let failure = number(params, name).err()?;
        Some(Diagnostic::new(failure.message, params.place(name)))
    };
    let name = params.text("name").and_then(|name| field_fault("name", name));
    let name = name.map(|why| Diagnostic::new(why, params.place("name")));
    name.into_iter().chain(names.iter().filter_map(fault)).collect()
}

/// The number of a user or group.
pub(super) fn number(params: &Params, name: &str) -> Result<Option<u32>, Failure> {
    let Some(given) = params.int(name) else { return Ok(None) };
    match u32::try_from(given) {
        // The kernel takes the greatest for none.
        Ok(number) if number != u32::MAX => Ok(Some(number)),
        _ => {
            let most = u32::MAX - 1;
            Err(Failure::new(format!("`{name}` is {given}, and 0 to {most} is expected")))
        }
    }
}

/// Refuses a name that no new user or group can have.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    name_fault(name).map_or(Ok(()), |why| Err(Failure::new(why)))
}

/// A user or group that only a directory service knows cannot be changed here.
pub(super) fn not_local(what: &str, name: &str) -> Failure {
    let file = if what == "user" { "passwd" } else { "group" };
    let why = format!("the {what} `{name}` is not in /etc/{file}, and cannot be changed here");
    let hint = format!(
        "it comes from a directory service; `local: true` makes a {what} of that name in the file"
    );
    Failure { hint: Some(hint), ..Failure::new(why) }
}
