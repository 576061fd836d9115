//! The home of a user, and its mail.

use super::super::Failure;
use super::super::copy::make_directories;
use super::settle::check_idle;
use crate::host::accounts::Accounts;
use crate::host::accounts::entries::User;
use crate::host::accounts::settings::Settings;
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind;
use crate::host::machine::mode::Mode;
use crate::host::machine::path::Follow;
use crate::host::machine::write::{Attributes, WriteOptions};
use crate::sinks::apply::params::Params;
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// A umask in octal digits.
pub(super) fn umask(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|umask| *umask <= 0o777)
}

/// What belongs to `old` comes to belong to `new`: its home where that is to be moved, and what is in
/// it where its numbers are others.
pub(super) fn follow(
    params: &Params,
    machine: &mut Machine,
    old: &User,
    new: &User,
    files: &Accounts,
) -> Result<(), Failure> {
    let (home, target) = (Path::new(&old.home), Path::new(&new.home));
    let moves = params.flag("move_home", false) && target != home;
    let is_there = |machine: &Machine, path: &Path| {
        Ok::<_, Failure>(path.is_absolute() && machine.stat(path, Follow::No)?.is_some())
    };
    if moves && is_there(machine, home)? && !is_there(machine, target)? {
        check_idle(machine, old)?;
        if let Some(parent) = target.parent() {
            make_directories(machine, parent, &Attributes::default())?;
        }
        machine.rename(home, target)?;
    } else if moves && !is_there(machine, home)? && is_there(machine, target)? {
        machine.clear_remains(home)?;
    }
    if (old.uid, old.gid) == (new.uid, new.gid) {
        return Ok(());
    }
    // A run that was killed may have moved it already.
    let home = if moves && !is_there(machine, home)? { target } else { home };
    if is_there(machine, home)? {
        give(machine, home, old, new)?;
    }
    let mail = mail(files, &old.name);
    if machine.stat(&mail, Follow::No)?.is_some_and(|found| found.uid == old.uid) {
        let attributes = Attributes { uid: Some(new.uid), ..Attributes::default() };
        machine.set_attributes(&mail, Follow::No, &attributes)?;
    }
    Ok(())
}

/// Gives all that is at and below `path` to the new numbers, as far as it has the old ones.
fn give(machine: &mut Machine, path: &Path, old: &User, new: &User) -> Result<(), Failure> {
    let Some(begin) = machine.stat(path, Follow::No)? else { return Ok(()) };
    // A home that is somebody else's holds nothing of this user's.
    if begin.uid != old.uid && begin.uid != new.uid {
        return Ok(());
    }
    let mut ahead = vec![path.to_owned()];
    while let Some(path) = ahead.pop() {
        let Some(found) = machine.stat(&path, Follow::No)? else { continue };
        let attributes = Attributes {
            uid: (found.uid == old.uid).then_some(new.uid),
            gid: (found.gid == old.gid).then_some(new.gid),
            mode: None,
        };
        machine.set_attributes(&path, Follow::No, &attributes)?;
        if found.kind == Kind::Directory {
            ahead.extend(machine.list(&path)?.into_iter().map(|name| path.join(name)));
        }
    }
    Ok(())
}

/// Makes the home of a user, with what a new one holds, where nothing is there.
pub(super) fn make(
    params: &Params,
    machine: &mut Machine,
    user: &User,
    home: &Path,
) -> Result<(), Failure> {
    if machine.stat(home, Follow::Yes)?.is_some() {
        return Ok(());
    }
    let settings = machine.accounts()?.settings;
    begin(params, machine, user, home, &settings)
}

/// The same for a user who is new. A home that is there is left alone, unless it is the user's own
/// already: then a run that was killed may have begun it.
pub(super) fn begin(
    params: &Params,
    machine: &mut Machine,
    user: &User,
    home: &Path,
    settings: &Settings,
) -> Result<(), Failure> {
    match machine.stat(home, Follow::Yes)? {
        Some(found) if (found.uid, found.gid) != (user.uid, user.gid) => return Ok(()),
        Some(_) => {}
        None => {
            if let Some(parent) = home.parent() {
                make_directories(machine, parent, &Attributes::default())?;
            }
            let mode = settings.home_mode(params.text("umask").and_then(umask));
            machine.mkdir(home, &owned(user, Some(mode)))?;
        }
    }
    let usual = || PathBuf::from(settings.default("SKEL").unwrap_or("/etc/skel"));
    let skeleton = params.path("skeleton").unwrap_or_else(usual);
    match machine.stat(&skeleton, Follow::Yes)?.map(|found| found.kind) {
        Some(Kind::Directory) => copy(machine, &skeleton, home, user),
        _ => Ok(()),
    }
}

fn owned(user: &User, mode: Option<u32>) -> Attributes {
    Attributes { mode: mode.map(Mode::Exact), uid: Some(user.uid), gid: Some(user.gid) }
}

/// Copies what is in `from` and not in `to`; links stay links.
fn copy(machine: &mut Machine, from: &Path, to: &Path, user: &User) -> Result<(), Failure> {
    let mut ahead = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = ahead.pop() {
        for name in machine.list(&from)? {
            let (source, target) = (from.join(&name), to.join(&name));
            let Some(found) = machine.stat(&source, Follow::No)? else { continue };
            let is_there = machine.stat(&target, Follow::No)?.is_some();
            match found.kind {
                kind if is_there && kind != Kind::Directory => {}
                Kind::Directory => {
                    machine.mkdir(&target, &owned(user, Some(found.mode)))?;
                    ahead.push((source, target));
                }
                Kind::File => {
                    let content = machine.read(&source)?;
                    let attributes = owned(user, Some(found.mode));
                    machine.write_file(&target, &content, &attributes, &WriteOptions::default())?;
                }
                Kind::Link => {
                    let leads_to = machine.read_link(&source)?;
                    machine.symlink(&target, &leads_to)?;
                    machine.set_attributes(&target, Follow::No, &owned(user, None))?;
                }
                Kind::Fifo | Kind::Socket | Kind::Device => {}
            }
        }
    }
    Ok(())
}

fn mail(files: &Accounts, name: &str) -> PathBuf {
    Path::new(files.settings.mail_directory()).join(name)
}

/// Makes an empty mailbox, on a host that does that.
pub(super) fn make_mail(
    params: &Params,
    machine: &mut Machine,
    user: &User,
    files: &Accounts,
) -> Result<(), Failure> {
    let mail = mail(files, &user.name);
    let is_wanted = files.settings.default("CREATE_MAIL_SPOOL") == Some("yes");
    let of_system = params.flag("system", false);
    if !is_wanted || of_system || machine.stat(&mail, Follow::No)?.is_some() {
        return Ok(());
    }
    let attributes = match files.group("mail") {
        Some(group) => Attributes { gid: Some(group.gid), ..owned(user, Some(0o660)) },
        None => owned(user, Some(0o600)),
    };
    machine.write_file(&mail, &Bytes::new(), &attributes, &WriteOptions::default())?;
    Ok(())
}

/// Removes home and mail, which must be the user's own unless `force` says otherwise.
pub(super) fn remove(
    machine: &mut Machine,
    user: &User,
    files: &Accounts,
    force: bool,
) -> Result<(), Failure> {
    let mail = mail(files, &user.name);
    let home = PathBuf::from(&user.home);
    let mut doomed = Vec::new();
    for path in [mail, home].into_iter().filter(|path| path.is_absolute()) {
        let Some(found) = machine.stat(&path, Follow::No)? else { continue };
        let hint = Some("remove it by hand, or leave `remove` out".to_owned());
        if found.uid != user.uid && !force {
            let (path, owner) = (path.display(), machine.user_name(found.uid));
            let why = format!("{path} belongs to the user `{owner}`, not to `{}`", user.name);
            return Err(Failure { hint, ..Failure::new(why) });
        }
        let shares =
            |other: &User| other.name != user.name && Path::new(&other.home).starts_with(&path);
        if let Some(other) = files.users().find(shares).filter(|_| !force) {
            let why = format!("{} holds the home of the user `{}` too", path.display(), other.name);
            return Err(Failure { hint, ..Failure::new(why) });
        }
        doomed.push(path);
    }
    for path in doomed {
        machine.remove(&path)?;
    }
    Ok(())
}
