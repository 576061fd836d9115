//! Programs that run as another user.

use super::Machine;
use super::command::Command;
use super::fault::Fault;
use crate::host::accounts::entries::User;
use std::borrow::Cow;

impl Machine {
    /// From now on programs run as the user `name`; with `None` as whoever runs this one.
    ///
    /// # Errors
    /// There is no such user, or only root could become it.
    pub fn run_commands_as(&mut self, name: Option<&str>) -> Result<(), Fault> {
        self.user = None;
        let Some(name) = name else { return Ok(()) };
        let (me, _) = super::accounts::own_ids();
        if name == "root" && me == 0 {
            return Ok(());
        }
        let Some(user) = self.user(name)? else {
            return Err(Fault::new(format!("there is no user `{name}`")));
        };
        if user.uid == me {
            return Ok(());
        }
        if me != 0 {
            return Err(Fault::new(format!("only root can become the user `{name}`"))
                .hint("run as root, or leave `become` out"));
        }
        self.user = Some(user);
        Ok(())
    }

    /// Complains where the other user would only be there after a run.
    pub(super) fn check_user(&self) -> Result<(), Fault> {
        match &self.user {
            Some(user) if self.is_dry_run() && !is_on_host(user) => {
                let why = format!("the user `{}`, who is to run it, is not there yet", user.name);
                Err(Fault::denied(why))
            }
            _ => Ok(()),
        }
    }

    /// The command as it is started, with the other user's groups and home.
    pub(super) fn as_user<'c>(&self, command: &'c Command) -> Cow<'c, Command> {
        let Some(user) = &self.user else { return Cow::Borrowed(command) };
        let mut command = command.clone();
        let prefix = [
            "setpriv".to_owned(),
            format!("--reuid={}", user.uid),
            format!("--regid={}", user.gid),
            "--init-groups".to_owned(),
            "--".to_owned(),
        ];
        command.argv.splice(0..0, prefix);
        let User { name, home, shell, .. } = user;
        let own = [("HOME", home), ("USER", name), ("LOGNAME", name), ("SHELL", shell)];
        // What the task itself sets comes later, and so counts.
        let own = own.map(|(name, value)| (name.to_owned(), value.clone()));
        command.environment.splice(0..0, own);
        Cow::Owned(command)
    }
}

fn is_on_host(user: &User) -> bool {
    nix::unistd::User::from_name(&user.name)
        .is_ok_and(|found| found.is_some_and(|found| found.uid.as_raw() == user.uid))
}
