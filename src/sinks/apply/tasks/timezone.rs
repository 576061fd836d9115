//! `timezone`: the time zone of the host, and which time its hardware clock has.

use super::{Failure, Module, Outcome, Task, TaskContext, system};
use crate::event::fault::Diagnostic;
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind as FileKind;
use crate::host::machine::path::Follow;
use crate::host::machine::state::Transition;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "timezone",
    summary: "Makes sure that the host is in this time zone.",
    acts_unless: None,
    spec: Spec {
        one_of: &[&["name", "hwclock"]],
        ..Spec::new(&[
            Param::new("name", Kind::Text)
                .says("The zone, such as `Europe/Berlin`: a file below `/usr/share/zoneinfo`."),
            Param::new("hwclock", Kind::OneOf(&["UTC", "local"])).or(&["rtc"]).says(
                "Which time the hardware clock has. A change is made by the program `hwclock`, \
                 which sets the clock.",
            ),
        ])
    },
    check,
    build: |params| Box::new(Timezone { params }),
};

const LINK: &str = "/etc/localtime";
const NAME: &str = "/etc/timezone";
const ZONES: &str = "/usr/share/zoneinfo";

fn check(params: &Params) -> Vec<Diagnostic> {
    let Some(name) = params.text("name").filter(|name| !name.contains("{{")) else {
        return Vec::new();
    };
    let is_part = |part: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+".contains(&byte);
        !part.is_empty() && part.bytes().all(is_letter)
    };
    if name.split('/').all(is_part) {
        return Vec::new();
    }
    let why = format!("`{name}` is no time zone, such as `Europe/Berlin` or `UTC`");
    vec![Diagnostic::new(why, params.place("name"))]
}

struct Timezone {
    params: Params,
}

impl Task for Timezone {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        if let Some(name) = self.params.text("name") {
            set_zone(machine, name)?;
        }
        if let Some(wanted) = self.params.text("hwclock") {
            set_clock(machine, wanted)?;
        }
        Ok(Outcome::default())
    }
}

fn set_zone(machine: &mut Machine, name: &str) -> Result<(), Failure> {
    let zone = Path::new(ZONES).join(name);
    let found = machine.stat(&zone, Follow::Yes)?;
    let is_zone = found.is_some_and(|found| found.kind == FileKind::File)
        && machine.read(&zone)?.starts_with(b"TZif");
    if !is_zone {
        let why = format!("there is no time zone `{name}` in {ZONES}");
        let hint = "the package tzdata has them".to_owned();
        return Err(Failure { hint: Some(hint), ..Failure::new(why) });
    }
    let now = match machine.stat(Path::new(LINK), Follow::No)? {
        Some(found) if found.kind == FileKind::Link => {
            // The link may be written from the root on or from where it is.
            let target = machine.read_link(Path::new(LINK))?;
            let target = target.to_string_lossy().into_owned();
            target.split_once("/zoneinfo/").map(|(_, name)| name.to_owned())
        }
        _ => None,
    };
    if now.as_deref() != Some(name) {
        machine.symlink(Path::new(LINK), &zone)?;
    }
    // Debian has the name in a file too.
    let old = system::read(machine, Path::new(NAME))?;
    let is_debian = machine.stat(Path::new("/etc/debian_version"), Follow::Yes)?.is_some();
    match old {
        Some(old) if old.trim() == name => {}
        None if !is_debian => {}
        _ => drop(system::write(machine, Path::new(NAME), format!("{name}\n"), false)?),
    }
    Ok(())
}

fn set_clock(machine: &mut Machine, wanted: &str) -> Result<(), Failure> {
    const OF: &str = "time of the hardware clock";
    let now = match machine.foretold_state(OF) {
        Some(foretold) => foretold,
        None => {
            let adjustments = system::read(machine, Path::new("/etc/adjtime"))?;
            let is_local = adjustments.is_some_and(|text| text.lines().nth(2) == Some("LOCAL"));
            if is_local { "local" } else { "UTC" }.to_owned()
        }
    };
    if now == wanted {
        return Ok(());
    }
    let set = |to: &str| {
        let how = if to == "local" { "--localtime" } else { "--utc" };
        system::argv(&["hwclock", "--systohc", how])
    };
    let back = Some(set(&now));
    let (of, after) = (OF.to_owned(), wanted.to_owned());
    Ok(machine.transition(&Transition { of, argv: set(wanted), back, before: now, after })?)
}
