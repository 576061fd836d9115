//! What the account files say of a user, and what they should say.

use super::super::Failure;
use super::super::accounts::{check_name, not_local, number};
use super::password;
use crate::host::accounts::entries::{Group, User};
use crate::host::accounts::{Accounts, Kind, Numbers};
use crate::host::machine::Machine;
use crate::sinks::apply::params::Params;
use std::path::Path;

/// A user as it should be.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) user: User,
    /// As it was; none where it is new.
    pub(super) old: Option<User>,
    /// What changes, in words.
    pub(super) news: Vec<String>,
}

/// Makes `files` say of the user what the parameters ask for.
pub(super) fn settle(
    params: &Params,
    files: &mut Accounts,
    machine: &Machine,
) -> Result<Settled, Failure> {
    let name = params.text("name").unwrap_or_default();
    if let Some(user) = files.user(name) {
        return change(params, files, machine, user);
    }
    match machine.user(name)? {
        Some(user) if !params.flag("local", false) => elsewhere(params, files, machine, user),
        _ => make(params, files, machine, name),
    }
}

/// Refuses to change what a process counts on.
pub(super) fn check_idle(machine: &Machine, user: &User) -> Result<(), Failure> {
    let Some((pid, program)) = machine.process_of(user.uid) else { return Ok(()) };
    let why = format!("the process {pid} (`{program}`) runs as the user `{}`", user.name);
    Err(Failure { hint: Some("end it first".into()), ..Failure::new(why) })
}

/// A user that a directory service knows: it can be in groups of the files, and that is all.
fn elsewhere(
    params: &Params,
    files: &mut Accounts,
    machine: &Machine,
    user: User,
) -> Result<Settled, Failure> {
    let gid = primary(params, files, machine)?.unwrap_or(user.gid);
    let wanted = asked(params, &user, number(params, "uid")?.unwrap_or(user.uid), gid);
    if wanted != user || password::is_asked(params) {
        return Err(not_local("user", &user.name));
    }
    let mut news = Vec::new();
    join(params, files, machine, &user.name, &mut news)?;
    Ok(Settled { user: user.clone(), old: Some(user), news })
}

/// `user` with what the parameters ask for.
fn asked(params: &Params, user: &User, uid: u32, gid: u32) -> User {
    let text = |name, now: &String| params.text(name).map_or_else(|| now.clone(), str::to_owned);
    User {
        uid,
        gid,
        comment: text("comment", &user.comment),
        home: text("home", &user.home),
        shell: text("shell", &user.shell),
        ..user.clone()
    }
}

fn change(
    params: &Params,
    files: &mut Accounts,
    machine: &Machine,
    old: User,
) -> Result<Settled, Failure> {
    let uid = number(params, "uid")?.unwrap_or(old.uid);
    if uid != old.uid {
        check_number(params, files, machine, uid)?;
        check_idle(machine, &old)?;
    }
    let gid = match primary(params, files, machine)? {
        Some(gid) => gid,
        None => {
            restore_own_group(files, machine, &old)?;
            old.gid
        }
    };
    let mut user = asked(params, &old, uid, gid);
    let mut news = Vec::new();
    let mut tell = |what: &str, old: &str, new: &str| {
        if old != new {
            news.push(format!("{what} {} → {}", shown(old), shown(new)));
        }
    };
    tell("uid", &old.uid.to_string(), &user.uid.to_string());
    tell("gid", &old.gid.to_string(), &user.gid.to_string());
    tell("comment", &old.comment, &user.comment);
    tell("home", &old.home, &user.home);
    tell("shell", &old.shell, &user.shell);
    password::settle(params, files, &mut user, &mut news)?;
    files.put_user(&user);
    join(params, files, machine, &old.name, &mut news)?;
    Ok(Settled { user, old: Some(old), news })
}

fn shown(text: &str) -> &str {
    if text.is_empty() { "(none)" } else { text }
}

/// A run that was killed may have left a new user without the group of its own.
fn restore_own_group(files: &mut Accounts, machine: &Machine, user: &User) -> Result<(), Failure> {
    let has_group = files.group_of(user.gid).is_some() || machine.group_of(user.gid)?.is_some();
    let is_free = files.group(&user.name).is_none() && machine.group(&user.name)?.is_none();
    if !has_group && is_free && files.settings.is_on("USERGROUPS_ENAB") {
        files.add_group(&user.name, user.gid);
    }
    Ok(())
}

fn make(
    params: &Params,
    files: &mut Accounts,
    machine: &Machine,
    name: &str,
) -> Result<Settled, Failure> {
    check_name(name)?;
    let of_system = params.flag("system", false);
    let (least, most) = (number(params, "uid_min")?, number(params, "uid_max")?);
    let numbers = Numbers { of_system, least, most };
    let given = number(params, "uid")?;
    let uid = match given {
        Some(uid) => {
            check_number(params, files, machine, uid)?;
            uid
        }
        None => {
            let is_taken = |uid| machine.user_of(uid).is_ok_and(|found| found.is_some());
            files.free_number(Kind::User, numbers, is_taken).map_err(Failure::new)?
        }
    };
    let gid = match primary(params, files, machine)? {
        Some(gid) => gid,
        None => usual_group(files, machine, name, uid, numbers)?,
    };
    let usual =
        |name, otherwise: &str| files.settings.default(name).unwrap_or(otherwise).to_owned();
    let home = Path::new(&usual("HOME", "/home")).join(name).display().to_string();
    let (shell, comment) = (usual("SHELL", "/bin/sh"), String::new());
    let user = User { name: name.into(), password: "x".into(), uid, gid, comment, home, shell };
    let mut user = asked(params, &user, uid, gid);
    let mut news = vec![format!("new user {uid}:{gid}")];
    password::begin(params, files, &mut user)?;
    files.put_user(&user);
    let ordinary = files.settings.numbers("UID", false, least, most);
    if !of_system && given.is_none_or(|uid| ordinary.contains(&uid)) {
        files.give_sub_numbers(name).map_err(Failure::new)?;
    }
    join(params, files, machine, name, &mut news)?;
    Ok(Settled { user, old: None, news })
}

/// The primary group of a new user for which none is named: one of its own, unless another has that
/// name already.
fn usual_group(
    files: &mut Accounts,
    machine: &Machine,
    name: &str,
    uid: u32,
    numbers: Numbers,
) -> Result<u32, Failure> {
    let is_there = files.group(name).is_some() || machine.group(name)?.is_some();
    if !is_there && files.settings.is_on("USERGROUPS_ENAB") {
        let is_taken = |gid| machine.group_of(gid).is_ok_and(|found| found.is_some());
        let gid = files.own_group_number(uid, numbers, is_taken).map_err(Failure::new)?;
        files.add_group(name, gid);
        return Ok(gid);
    }
    let usual = files.settings.default("GROUP").unwrap_or("100").to_owned();
    Ok(group(files, machine, &usual)?.gid)
}

/// The number of the group that `group` names.
fn primary(params: &Params, files: &Accounts, machine: &Machine) -> Result<Option<u32>, Failure> {
    let named = params.text("group").map(|name| group(files, machine, name));
    Ok(named.transpose()?.map(|group| group.gid))
}

/// A group by its number or name.
fn group(files: &Accounts, machine: &Machine, named: &str) -> Result<Group, Failure> {
    if let Ok(gid) = named.parse() {
        let found = files.group_of(gid).map_or_else(|| machine.group_of(gid), |it| Ok(Some(it)))?;
        if let Some(group) = found {
            return Ok(group);
        }
    }
    let found = files.group(named).map_or_else(|| machine.group(named), |it| Ok(Some(it)))?;
    found.ok_or_else(|| {
        let hint = format!("make it first, with `group: {{name: {named}}}`");
        Failure { hint: Some(hint), ..Failure::new(format!("there is no group `{named}`")) }
    })
}

/// Puts the user into the groups that `groups` names.
fn join(
    params: &Params,
    files: &mut Accounts,
    machine: &Machine,
    user: &str,
    news: &mut Vec<String>,
) -> Result<(), Failure> {
    let Some(given) = params.texts("groups") else { return Ok(()) };
    let names = given.iter().flat_map(|text| text.split(',')).map(str::trim);
    let mut wanted: Vec<String> = Vec::new();
    for name in names.filter(|name| !name.is_empty()) {
        let group = group(files, machine, name)?;
        let is_local = files.group(&group.name).is_some();
        if !is_local && !group.members.iter().any(|member| member == user) {
            return Err(not_local("group", &group.name));
        }
        if !wanted.contains(&group.name) {
            wanted.push(group.name);
        }
    }
    let old = files.memberships(user);
    let append = params.flag("append", false);
    files.join(user, &wanted, |_| append);
    let new = files.memberships(user);
    if old != new {
        let list = |groups: &[String]| shown(&groups.join(",")).to_owned();
        news.push(format!("groups {} → {}", list(&old), list(&new)));
    }
    Ok(())
}

/// Refuses a number that another user has.
fn check_number(
    params: &Params,
    files: &Accounts,
    machine: &Machine,
    uid: u32,
) -> Result<(), Failure> {
    let name = params.text("name");
    let local = files.users().find(|user| user.uid == uid);
    let holder = local.map_or_else(|| machine.user_of(uid), |user| Ok(Some(user)))?;
    match holder.filter(|other| Some(other.name.as_str()) != name) {
        Some(other) if !params.flag("non_unique", false) => {
            let why = format!("the number {uid} is that of the user `{}`", other.name);
            let hint = "`non_unique: true` lets two users have it".to_owned();
            Err(Failure { hint: Some(hint), ..Failure::new(why) })
        }
        _ => Ok(()),
    }
}
