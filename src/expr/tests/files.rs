//! Tests of paths. All but `abs` look at the host.

use crate::expr::call::{Call, Callable};
use crate::expr::host::{self, Kind, Seen};
use minijinja::Error;
use minijinja::value::Value;
use std::path::Path;

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["abs", "is_abs"],
        "",
        |call| Ok(call.value.to_string().starts_with('/').into()),
        "Is an absolute path.",
        "'/a' is abs → true",
    ),
    Callable::new(
        &["file", "is_file"],
        "",
        |call| is(call, Kind::File, true),
        "There is a file at this path.",
        "'/etc/passwd' is file",
    ),
    Callable::new(
        &["directory", "is_dir"],
        "",
        |call| is(call, Kind::Directory, true),
        "There is a directory at this path.",
        "'/etc' is directory",
    ),
    Callable::new(
        &["link", "is_link"],
        "",
        |call| is(call, Kind::Link, false),
        "There is a symbolic link at this path.",
        "'/bin' is link",
    ),
    Callable::new(
        &["exists"],
        "",
        |call| Ok(seen(call, &call.value.to_string(), true)?.is_some().into()),
        "There is something at this path; a link that leads nowhere is not.",
        "'/etc' is exists",
    ),
    Callable::new(
        &["link_exists"],
        "",
        |call| Ok(seen(call, &call.value.to_string(), false)?.is_some().into()),
        "There is something at this path, be it a link that leads nowhere.",
        "'/bin' is link_exists",
    ),
    Callable::new(
        &["same_file", "is_same_file"],
        "other",
        |call| {
            let one = seen(call, &call.value.to_string(), true)?;
            let other = seen(call, &call.text("other").unwrap_or_default(), true)?;
            let inode = |seen: Seen| (seen.device, seen.inode);
            Ok((one.is_some() && one.map(inode) == other.map(inode)).into())
        },
        "Both paths lead to the same file.",
        "'/bin/sh' is same_file('/bin/dash')",
    ),
    Callable::new(
        &["mount", "is_mount"],
        "",
        mount,
        "A file system is mounted at this path.",
        "'/' is mount",
    ),
];

fn seen(call: &Call<'_, '_, '_>, path: &str, follow: bool) -> Result<Option<Seen>, Error> {
    let host = host::of(call.state, call.name())?;
    let path = host::path(&*host, path);
    host.look(&path, follow).map_err(|why| call.wrong(format!("cannot tell: {why}")))
}

fn is(call: &Call<'_, '_, '_>, kind: Kind, follow: bool) -> Result<Value, Error> {
    let seen = seen(call, &call.value.to_string(), follow)?;
    Ok(seen.is_some_and(|seen| seen.kind == kind).into())
}

fn mount(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let host = host::of(call.state, "mount")?;
    let path = host::path(&*host, &call.value.to_string());
    let told = |why: String| call.wrong(format!("cannot tell: {why}"));
    let Some(here) = host.look(&path, false).map_err(told)? else { return Ok(false.into()) };
    if here.kind != Kind::Directory {
        return Ok(false.into());
    }
    let real = host.real_path(&path).map_err(told)?;
    let Some(parent) = real.parent() else { return Ok(true.into()) };
    let above = host.look(parent, false).map_err(told)?;
    let is_root = real == Path::new("/");
    Ok((is_root || above.is_some_and(|above| above.device != here.device)).into())
}
