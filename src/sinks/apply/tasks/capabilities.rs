//! `capabilities`: rights that a program gives to whoever runs it.

use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::host::capabilities::{Capabilities as Rights, Flags, number};
use crate::host::machine::Machine;
use crate::host::machine::meta::Kind as FileKind;
use crate::host::machine::path::Follow;
use crate::host::xattr::CAPABILITY;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use bytes::Bytes;

pub(super) static MODULE: Module = Module {
    name: "capabilities",
    summary: "Makes sure that a program has a capability of the kernel, or not.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("path", Kind::Path).or(&["key"]).required().says("The program."),
        Param::new("capability", Kind::Text).or(&["cap"]).required().says(
            "The capability, an operator (`=`, `+` or `-`) and the sets that it is in: \
             `cap_net_raw+ep`. Where it is to be absent, its name is enough.",
        ),
        Param::new("state", Kind::OneOf(&["absent", "present"])).says("`present` where not given."),
    ]),
    check,
    build: |params| Box::new(Capabilities { params }),
};

struct Capabilities {
    params: Params,
}

/// `cap_net_raw+ep`, taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Wanted {
    number: u32,
    /// What is done, and with which sets.
    sets: Option<(char, Flags)>,
}

impl Wanted {
    fn read(text: &str, present: bool) -> Result<Self, String> {
        let at = text.find(['=', '+', '-']);
        let (name, sets) = match at {
            Some(at) => (&text[..at], Some(&text[at..])),
            None if present => {
                return Err(format!(
                    "the capability `{text}` has no operator, like that of `{text}+ep`"
                ));
            }
            None => (text, None),
        };
        let number = number(name).ok_or_else(|| format!("there is no capability `{name}`"))?;
        let sets = sets.map(|sets| {
            let mut flags = Flags::default();
            let mut letters = sets.chars();
            let operator = letters.next().unwrap_or('=');
            for letter in letters {
                match letter {
                    'e' => flags.effective = true,
                    'i' => flags.inheritable = true,
                    'p' => flags.permitted = true,
                    _ => return Err(format!("the sets of `{text}` are not made of `e`, `i`, `p`")),
                }
            }
            Ok((operator, flags))
        });
        Ok(Self { number, sets: sets.transpose()? })
    }

    /// The sets that the capability should be in.
    fn over(self, now: Flags) -> Flags {
        let Some((operator, wish)) = self.sets else { return now };
        let join = |now: bool, wish: bool| if operator == '-' { now && !wish } else { wish };
        Flags {
            effective: join(now.effective, wish.effective),
            inheritable: join(now.inheritable, wish.inheritable),
            permitted: join(now.permitted, wish.permitted),
        }
    }
}

fn check(params: &Params) -> Vec<Diagnostic> {
    let present = params.text("state") != Some("absent");
    let wanted = params.text("capability").map(|text| Wanted::read(text, present));
    match wanted {
        Some(Err(why)) => vec![Diagnostic::new(why, params.place("capability"))],
        _ => Vec::new(),
    }
}

impl Task for Capabilities {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let path = params.path("path").unwrap_or_default();
        let shown = path.display();
        let state = params.text("state").unwrap_or("present");
        let text = params.text("capability").unwrap_or_default();
        let wanted = Wanted::read(text, state == "present").map_err(Failure::new)?;
        match machine.stat(&path, Follow::Yes)? {
            None => return Err(Failure::new(format!("there is no file {shown}"))),
            Some(found) if found.kind != FileKind::File => {
                let kind = found.kind.described();
                return Err(Failure::new(format!("{shown} is {kind}, and a file is expected")));
            }
            Some(_) => {}
        }
        let now = match machine.attribute(&path, Follow::Yes, CAPABILITY)? {
            None => Rights::default(),
            Some(bytes) => Rights::decode(&bytes)
                .map_err(|why| Failure::new(format!("the capabilities of {shown}: {why}")))?,
        };
        let flags = match state {
            "present" => wanted.over(now.get(wanted.number)),
            _ => Flags::default(),
        };
        let outcome = Outcome::default().with("state", state);
        if flags == now.get(wanted.number) {
            return Ok(outcome);
        }
        if flags.effective && !(flags.permitted || flags.inheritable) {
            let why = format!("`{text}`: what is effective must be permitted or inheritable too");
            return Err(Failure::new(why));
        }
        if !now.agrees(wanted.number, flags) {
            let failure = Failure::new(format!(
                "`{text}` does not go with `{}`, which {shown} has: a file's capabilities are all \
                 effective, or none is",
                now.text()
            ));
            let hint = Some("give all of them an `e`, or none".into());
            return Err(Failure { hint, ..failure });
        }
        let new = now.with(wanted.number, flags);
        let value = (!new.is_empty()).then(|| Bytes::from(new.encode()));
        machine.set_attribute(&path, Follow::Yes, CAPABILITY, value)?;
        let stdout = format!("{shown} {}", new.text());
        Ok(outcome.with("msg", "capabilities changed").with("stdout", stdout.trim_end()))
    }
}
