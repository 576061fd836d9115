//! `group`: a group of the host.

use super::accounts::{self, number};
use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::host::accounts::entries::{Group as Entry, User};
use crate::host::accounts::{Accounts, Kind as Of, Numbers};
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};

pub(super) static MODULE: Module = Module {
    name: "group",
    summary: "Makes sure that the host has a group, or not.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text).required().says("Its name."),
        Param::new("state", Kind::OneOf(&["absent", "present"]))
            .says("Whether it is there; `present` where not given."),
        Param::new("gid", Kind::Int).says(
            "Its number. Where not given, a new group gets a free one, and that of one that is there \
             is left alone.",
        ),
        Param::new("non_unique", Kind::Bool)
            .says("Whether another group may have the same number; needs `gid`."),
        Param::new("system", Kind::Bool).says("A new group gets one of the system's numbers."),
        Param::new("force", Kind::Bool).says(
            "With `state: absent`, take it away although it is the primary group of a user.",
        ),
        accounts::LOCAL,
        Param::new("gid_min", Kind::Int)
            .says("The least number for a new group, in place of GID_MIN in `/etc/login.defs`."),
        Param::new("gid_max", Kind::Int)
            .says("The greatest number for a new group, in place of GID_MAX in `/etc/login.defs`."),
    ]),
    check,
    build: |params| Box::new(Group { params }),
};

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = accounts::check(params, &["gid", "gid_min", "gid_max"]);
    let mut complain = |why: &str| complaints.push(Diagnostic::new(why, params.span.clone()));
    if params.flag("non_unique", false) && !params.has("gid") {
        complain("`non_unique` needs `gid`");
    }
    for name in ["gid_min", "gid_max", "force"] {
        let is_given = if name == "force" { params.flag(name, false) } else { params.has(name) };
        if is_given && params.flag("local", false) {
            complain(&format!("`group` takes `{name}` or `local`, not both"));
        }
    }
    complaints
}

struct Group {
    params: Params,
}

impl Task for Group {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let name = self.params.text("name").unwrap_or_default();
        let state = self.params.text("state").unwrap_or("present");
        let outcome = Outcome::default().with("name", name).with("state", state);
        if state == "absent" {
            machine
                .edit_accounts(|files, machine| self.take_away(files, machine), nothing_first)?;
            return Ok(outcome);
        }
        let gid =
            machine.edit_accounts(|files, machine| self.make(files, machine), nothing_first)?;
        let system = self.params.flag("system", false);
        Ok(outcome.with("system", system).with("gid", gid))
    }
}

fn nothing_first<R>(_: &mut Machine, _: &R, _: &Accounts) -> Result<(), Failure> {
    Ok(())
}

impl Group {
    /// Makes it be there; its number.
    fn make(&self, files: &mut Accounts, machine: &Machine) -> Result<u32, Failure> {
        let params = &self.params;
        let name = params.text("name").unwrap_or_default();
        let wanted = number(params, "gid")?;
        let check = |gid| match self.holder(gid, files, machine)? {
            Some(other) if !params.flag("non_unique", false) => {
                let why = format!("the number {gid} is that of the group `{}`", other.name);
                let hint = "`non_unique: true` lets two groups have it".to_owned();
                Err(Failure { hint: Some(hint), ..Failure::new(why) })
            }
            _ => Ok(()),
        };
        if let Some(group) = files.group(name) {
            let Some(gid) = wanted.filter(|gid| *gid != group.gid) else { return Ok(group.gid) };
            check(gid)?;
            files.renumber_group(name, gid);
            return Ok(gid);
        }
        if !params.flag("local", false)
            && let Some(group) = machine.group(name)?
        {
            return match wanted.filter(|gid| *gid != group.gid) {
                None => Ok(group.gid),
                Some(_) => Err(accounts::not_local("group", name)),
            };
        }
        accounts::check_name(name)?;
        let gid = match wanted {
            Some(gid) => {
                check(gid)?;
                gid
            }
            None => {
                let numbers = Numbers {
                    of_system: params.flag("system", false),
                    least: number(params, "gid_min")?,
                    most: number(params, "gid_max")?,
                };
                let is_taken = |gid| machine.group_of(gid).is_ok_and(|found| found.is_some());
                files.free_number(Of::Group, numbers, is_taken).map_err(Failure::new)?
            }
        };
        files.add_group(name, gid);
        Ok(gid)
    }

    /// The other group that has the number.
    fn holder(
        &self,
        gid: u32,
        files: &Accounts,
        machine: &Machine,
    ) -> Result<Option<Entry>, Failure> {
        let name = self.params.text("name");
        let found = match files.group_of(gid) {
            Some(group) => Some(group),
            None => machine.group_of(gid)?,
        };
        Ok(found.filter(|group| Some(group.name.as_str()) != name))
    }

    fn take_away(&self, files: &mut Accounts, machine: &Machine) -> Result<(), Failure> {
        let name = self.params.text("name").unwrap_or_default();
        let Some(group) = files.group(name) else {
            let elsewhere = !self.params.flag("local", false) && machine.group(name)?.is_some();
            return if elsewhere { Err(accounts::not_local("group", name)) } else { Ok(()) };
        };
        let has_it = |user: &User| user.gid == group.gid;
        if let Some(user) = files.users().find(has_it).filter(|_| !self.params.flag("force", false))
        {
            let why = format!("`{name}` is the primary group of the user `{}`", user.name);
            let hint = "take the user away first; `force: true` does not mind".to_owned();
            return Err(Failure { hint: Some(hint), ..Failure::new(why) });
        }
        files.remove_group(name);
        Ok(())
    }
}
