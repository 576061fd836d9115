//! `user`: a user of the host, with its home, password, groups and SSH key.

mod home;
mod key;
mod password;
mod settle;

use super::accounts;
use super::{Failure, Module, Outcome, Task, TaskContext, values};
use crate::event::fault::Diagnostic;
use crate::host::accounts::entries::User as Entry;
use crate::host::accounts::field_fault;
use crate::host::machine::Machine;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use minijinja::Value;
use settle::Settled;

pub(super) static MODULE: Module = Module {
    name: "user",
    summary: "Makes sure that the host has a user, or not, with its home, password, groups and SSH key.",
    acts_unless: None,
    spec: Spec {
        not_yet: &[&["seuser"]],
        shared: &[PASSWORD, SSH_KEY, ELSEWHERE],
        ..Spec::new(&[
            Param::new("name", Kind::Text).or(&["user"]).required().says("Its name."),
            Param::new("state", Kind::OneOf(&["absent", "present"]))
                .says("Whether it is there; `present` where not given."),
            Param::new("uid", Kind::Int).says(
                "Its number. A new user without one gets a free one. Where it changes, so does the \
                 owner of what is in the home.",
            ),
            Param::new("non_unique", Kind::Bool)
                .says("Whether another user may have the same number."),
            Param::new("uid_min", Kind::Int)
                .says("The least number for a new user, in place of UID_MIN in `/etc/login.defs`."),
            Param::new("uid_max", Kind::Int).says(
                "The greatest number for a new user, in place of UID_MAX in `/etc/login.defs`.",
            ),
            Param::new("system", Kind::Bool).says("A new user gets one of the system's numbers."),
            Param::new("group", Kind::Account).says(
                "Its primary group, which must be there. A new user without one gets a group of its \
                 own name.",
            ),
            Param::new("groups", Kind::Texts).says(
                "The other groups that it is in, by name or number, as a list or with commas between \
                 them; with none of them it is in no other.",
            ),
            Param::new("append", Kind::Bool)
                .says("It stays in the groups that it is in beside `groups`."),
            Param::new("comment", Kind::Text).says("Who it is, in words."),
            Param::new("home", Kind::Path)
                .says("Its home; a directory of its name in `/home` where not given."),
            Param::new("create_home", Kind::Bool)
                .or(&["createhome"])
                .says("Make the home where it is missing; true where not given."),
            Param::new("move_home", Kind::Bool)
                .says("Where `home` is another one than before, move there what is in the old one."),
            Param::new("skeleton", Kind::Path)
                .says("What a new home holds; `/etc/skel` where not given."),
            Param::new("umask", Kind::Text).says(
                "Which permissions a new home has not, such as `\"077\"`, where `/etc/login.defs` \
                 does not name them.",
            ),
            Param::new("shell", Kind::Path).says("What a login starts."),
            Param::new("remove", Kind::Bool)
                .says("With `state: absent`, take away its home and mail too."),
            Param::new("force", Kind::Bool).says(
                "With `state: absent`, also where a process of it runs or the home belongs to \
                 somebody else; with `generate_ssh_key`, make a new key in place of the old.",
            ),
            accounts::LOCAL,
        ])
    },
    check,
    build: |params| Box::new(User { params }),
};

const PASSWORD: &[Param] = &[
    Param::new("password", Kind::Secret).says(
        "The hash of its password, as `password_hash` makes it; `\"!\"` or `\"*\"` for none. It is \
         not shown.",
    ),
    Param::new("update_password", Kind::OneOf(&["always", "on_create"]))
        .says("Whether the password of a user that is there is changed: `always` where not given."),
    Param::new("password_lock", Kind::Bool)
        .says("Lock the password, or unlock it; left alone where not given."),
    Param::new("expires", Kind::Any).says(
        "When the account ends, in seconds since 1970; the day counts. A negative number takes the \
         end away.",
    ),
    Param::new("password_expire_max", Kind::Int)
        .says("Days after which the password must be changed."),
    Param::new("password_expire_min", Kind::Int)
        .says("Days before the password may be changed again."),
    Param::new("password_expire_warn", Kind::Int)
        .says("Days of warning before the password must be changed."),
    Param::new("password_expire_account_disable", Kind::Int)
        .says("Days for which a password that is too old still opens the account."),
];

const SSH_KEY: &[Param] = &[
    Param::new("generate_ssh_key", Kind::Bool)
        .says("Make an SSH key with `ssh-keygen`, where there is none."),
    Param::new("ssh_key_type", Kind::Text).says("Of which kind; `rsa` where not given."),
    Param::new("ssh_key_bits", Kind::Int)
        .says("Of how many bits; as `ssh-keygen` likes where not given."),
    Param::new("ssh_key_file", Kind::Path)
        .says("Where, from the home; `.ssh/id_TYPE` where not given."),
    Param::new("ssh_key_comment", Kind::Text)
        .says("Its comment; `ansible-generated on HOSTNAME` where not given."),
    Param::new("ssh_key_passphrase", Kind::Secret)
        .says("What opens the key; nothing is needed where not given."),
];

/// Of other systems; on Linux they mean nothing.
const ELSEWHERE: &[Param] = &[
    Param::new("hidden", Kind::Bool).says("For macOS; not heeded."),
    Param::new("login_class", Kind::Text).says("For BSD; not heeded."),
    Param::new("profile", Kind::Text).says("For Solaris; not heeded."),
    Param::new("authorization", Kind::Text).says("For Solaris; not heeded."),
    Param::new("role", Kind::Text).says("For Solaris; not heeded."),
];

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = accounts::check(params, &["uid", "uid_min", "uid_max"]);
    complaints.extend(values::check_number(params, "expires"));
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    for name in ["comment", "home", "shell"] {
        if let Some(why) = params.text(name).and_then(|text| field_fault(name, text)) {
            complain(name, why);
        }
    }
    if params.text("password").is_some_and(|text| text.contains(':') || text.contains('\n')) {
        complain("password", "`password` holds a colon or a line end, and no hash does".into());
    }
    if let Some(home) = params.text("home").filter(|home| !home.starts_with('/')) {
        complain("home", format!("the home `{home}` is not absolute"));
    }
    if let Some(umask) = params.text("umask").filter(|umask| home::umask(umask).is_none()) {
        complain("umask", format!("`umask` is `{umask}`, and octal digits are expected"));
    }
    for name in ["umask", "uid_min", "uid_max"] {
        if params.has(name) && params.flag("local", false) {
            complain(name, format!("`user` takes `{name}` or `local`, not both"));
        }
    }
    complaints
}

struct User {
    params: Params,
}

impl Task for User {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let name = params.text("name").unwrap_or_default();
        let state = params.text("state").unwrap_or("present");
        let outcome = Outcome::default().with("name", name).with("state", state);
        if state == "absent" {
            let is_there = self.take_away(machine)?;
            let flag = |name| params.flag(name, false);
            return Ok(match is_there {
                true => outcome.with("force", flag("force")).with("remove", flag("remove")),
                false => outcome,
            });
        }
        let settled = self.settle(machine)?;
        let outcome = self.told(outcome, &settled);
        match params.flag("generate_ssh_key", false) {
            true => key::generate(params, machine, cx, &settled.user, outcome),
            false => Ok(outcome),
        }
    }
}

impl User {
    /// The user as it should be, with its home.
    fn settle(&self, machine: &mut Machine) -> Result<Settled, Failure> {
        let params = &self.params;
        let makes_home = params.flag("create_home", true);
        let place = |user: &Entry| params.path("home").unwrap_or_else(|| (&user.home).into());
        // What belongs to it comes before the file says so: a run that is killed in between finds
        // what is left to do.
        let settled = machine.edit_accounts(
            |files, machine| settle::settle(params, files, machine),
            |machine, settled: &Settled, files| match &settled.old {
                Some(old) => home::follow(params, machine, old, &settled.user, files),
                None if makes_home => {
                    let home = place(&settled.user);
                    home::begin(params, machine, &settled.user, &home, &files.settings)?;
                    home::make_mail(params, machine, &settled.user, files)
                }
                None => Ok(()),
            },
        )?;
        let home = place(&settled.user);
        if makes_home && settled.old.is_some() && home.is_absolute() {
            home::make(params, machine, &settled.user, &home)?;
        }
        Ok(settled)
    }

    fn told(&self, outcome: Outcome, settled: &Settled) -> Outcome {
        let params = &self.params;
        let user = &settled.user;
        let mut outcome = outcome
            .with("uid", user.uid)
            .with("group", user.gid)
            .with("comment", user.comment.as_str())
            .with("home", user.home.as_str())
            .with("shell", user.shell.as_str());
        outcome = match &settled.old {
            None => outcome
                .with("system", params.flag("system", false))
                .with("create_home", params.flag("create_home", true)),
            Some(_) => outcome
                .with("append", params.flag("append", false))
                .with("move_home", params.flag("move_home", false)),
        };
        if let Some(groups) = params.texts("groups") {
            outcome = outcome.with("groups", groups.join(","));
        }
        if params.has("password") {
            outcome = outcome.with("password", "NOT_LOGGING_PASSWORD");
        }
        let mut warnings = Vec::new();
        if params.text("password").is_some_and(|text| !password::is_hash(text)) {
            warnings.push("`password` is not a hash, so that nobody can log in with it");
        }
        if params.flag("append", false) && !params.has("groups") {
            warnings.push("`append` says nothing without `groups`");
        }
        let news = (!settled.news.is_empty()).then(|| settled.news.join(", "));
        let said: Vec<_> = news.into_iter().chain(warnings.iter().map(|it| (*it).into())).collect();
        outcome.message = (!said.is_empty()).then(|| said.join("; "));
        match warnings.is_empty() {
            true => outcome,
            false => outcome.with("warnings", Value::from_iter(warnings)),
        }
    }

    /// Takes the user away; whether it was there.
    fn take_away(&self, machine: &mut Machine) -> Result<bool, Failure> {
        let params = &self.params;
        let name = params.text("name").unwrap_or_default();
        let flag = |name| params.flag(name, false);
        let gone = machine.edit_accounts(
            |files, machine| {
                let Some(user) = files.user(name) else {
                    let elsewhere = !flag("local") && machine.user(name)?.is_some();
                    return if elsewhere {
                        Err(accounts::not_local("user", name))
                    } else {
                        Ok(None)
                    };
                };
                if !flag("force") {
                    settle::check_idle(machine, &user)?;
                }
                files.remove_user(name, flag("force"));
                Ok(Some(user))
            },
            |machine, user, files| match user {
                Some(user) if flag("remove") => home::remove(machine, user, files, flag("force")),
                _ => Ok(()),
            },
        )?;
        Ok(gone.is_some())
    }
}
