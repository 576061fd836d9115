//! `reboot`: starts the host again.

use super::{Failure, Module, Outcome, Task, TaskContext, shutdown, values};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "reboot",
    summary: "Starts the host again. Tried against a stand-in for `shutdown` alone.",
    acts_unless: Some(&["only_if"]),
    spec: Spec {
        not_yet: &[&["boot_time_command", "reboot_command"]],
        ..Spec::new(&[
            Param::new("only_if", Kind::Path).says(
                "Only where this file is there, such as `/run/reboot-required` of Debian. Without it \
                 the host starts again once a revision.",
            ),
            Param::new("pre_reboot_delay", Kind::Any).says(
                "In how many seconds, in whole minutes rounded up; 60 where not given or less, so that \
                 the run can end and be written down. The agent goes on when the host has started.",
            ),
            Param::new("msg", Kind::Text).says("What those are told who are logged in."),
            Param::new("post_reboot_delay", Kind::Any)
                .says("Accepted, and without effect: nobody waits for the host."),
            Param::new("reboot_timeout", Kind::Any).says("Accepted, and without effect."),
            Param::new("connect_timeout", Kind::Any).says("Accepted, and without effect."),
            Param::new("test_command", Kind::Any).says("Accepted, and without effect."),
            shutdown::SEARCH_PATHS,
        ])
    },
    check,
    build: |params| Box::new(Reboot { params }),
};

fn check(params: &Params) -> Vec<Diagnostic> {
    let number = values::check_number(params, "pre_reboot_delay");
    number.into_iter().chain(shutdown::check_message(params)).collect()
}

struct Reboot {
    params: Params,
}

impl Task for Reboot {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        if let Some(path) = params.path("only_if")
            && machine.stat(Path::new(&path), Follow::Yes)?.is_none()
        {
            return Ok(Outcome::default().with("rebooted", false));
        }
        let delay = values::number(params, "pre_reboot_delay")?;
        shutdown::plan(machine, params, "-r", "starting again", delay)?;
        Ok(Outcome::default().with("rebooted", true).with("elapsed", 0))
    }
}
