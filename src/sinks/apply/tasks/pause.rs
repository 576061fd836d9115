//! `pause`: waits for some time, or for a person.

use super::command::{elapsed, time};
use super::{Failure, Module, Outcome, Task, TaskContext, values};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::wait::Echo;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::time::Duration;

pub(super) static MODULE: Module = Module {
    name: "pause",
    summary: "Waits for some time, or for a person's answer.",
    acts_unless: Some(&[]),
    spec: Spec {
        exclusive: &[&["minutes", "seconds"]],
        ..Spec::new(&[
            Param::new("minutes", Kind::Any).says("How long."),
            Param::new("seconds", Kind::Any).says("How long."),
            Param::new("prompt", Kind::Any)
                .says("What is asked; without a time, until somebody answers."),
            Param::new("echo", Kind::Bool).says("Show what is typed; true where not given."),
        ])
    },
    check,
    build: |params| Box::new(Pause { params }),
};

struct Pause {
    params: Params,
}

fn check(params: &Params) -> Vec<Diagnostic> {
    ["minutes", "seconds"].iter().filter_map(|name| values::check_number(params, name)).collect()
}

impl Task for Pause {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let started = machine.now();
        let (seconds, unit) =
            match (values::number(params, "seconds")?, values::number(params, "minutes")?) {
                (Some(seconds), _) => (Some(seconds), "seconds"),
                (None, Some(minutes)) => (Some(minutes * 60.0), "minutes"),
                (None, None) => (None, "minutes"),
            };
        let prompt = params.any("prompt").and_then(|node| node.scalar_text());
        let mut answer = String::new();
        match seconds {
            Some(seconds) => {
                // As in Ansible, at least one second.
                machine.sleep(Duration::from_secs_f64(seconds.clamp(1.0, 1e9)));
            }
            None if machine.is_dry_run() => {
                return Ok(Outcome { unknown: true, ..Outcome::default() });
            }
            None => {
                let usual = "Press enter to continue";
                let echo = if params.flag("echo", true) { Echo::On } else { Echo::Off };
                answer = machine.ask(&format!("{}:\n", prompt.unwrap_or(usual)), echo)?;
            }
        }
        let ended = machine.now();
        let passed = ended.as_seconds() - started.as_seconds();
        let told = match unit {
            "minutes" => format!("Paused for {:.2} minutes", passed / 60.0),
            _ => format!("Paused for {passed:.2} seconds"),
        };
        let message = seconds.map(|_| prompt.unwrap_or(&told).to_owned());
        Ok(Outcome { message, ..Outcome::default() }
            .with("start", time(started))
            .with("stop", time(ended))
            .with("delta", passed as i64)
            .with("elapsed", elapsed(started, ended))
            .with("stdout", told)
            .with("stderr", "")
            .with("rc", 0)
            .with("echo", params.flag("echo", true))
            .with("user_input", answer))
    }
}
