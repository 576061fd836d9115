//! `locale_gen`: a locale of the host, such as `de_DE.UTF-8`.

use super::{Failure, Module, Outcome, Task, TaskContext, no_check, system};
use crate::host::machine::Machine;
use crate::host::machine::command::Command;
use crate::host::machine::state::Transition;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use std::path::Path;

pub(super) static MODULE: Module = Module {
    name: "locale_gen",
    summary: "Makes sure that the host has locales, or not.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Texts)
            .required()
            .says("The locales, such as `de_DE.UTF-8`, as `/etc/locale.gen` names them."),
        Param::new("state", Kind::OneOf(&["absent", "present"])).says(
            "`present` where not given; with `absent`, their lines in `/etc/locale.gen` become \
             comments, and the others are made anew.",
        ),
    ]),
    check: no_check,
    build: |params| Box::new(LocaleGen { params }),
};

const LIST: &str = "/etc/locale.gen";
const SUPPORTED: &str = "/usr/share/i18n/SUPPORTED";
const OF: &str = "locales";

struct LocaleGen {
    params: Params,
}

impl Task for LocaleGen {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let names = self.params.texts("name").unwrap_or_default();
        let is_absent = self.params.text("state") == Some("absent");
        let Some(old) = system::read(machine, Path::new(LIST))? else {
            let failure = Failure::new(format!("there is no file {LIST}"));
            let hint = "install the package locales first".to_owned();
            return Err(Failure { hint: Some(hint), ..failure });
        };
        let supported = system::read(machine, Path::new(SUPPORTED))?.unwrap_or_default();
        let mut lines: Vec<String> = old.lines().map(str::to_owned).collect();
        for name in names {
            settle(&mut lines, &supported, name, is_absent)?;
        }
        let made = made(machine)?;
        let has = |name: &String| made.iter().any(|known| plain(known) == plain(name));
        if lines.iter().map(String::as_str).ne(old.lines()) {
            system::write(machine, Path::new(LIST), system::join(&lines), false)?;
        }
        if names.iter().any(|name| has(name) == is_absent) {
            let is_other = |known: &&String| names.iter().all(|name| plain(name) != plain(known));
            let mut after: Vec<String> = made.iter().filter(is_other).cloned().collect();
            if !is_absent {
                after.extend(names.iter().map(|name| plain(name)));
            }
            after.sort_by_key(|name| plain(name));
            after.dedup();
            let argv = match is_absent {
                true => system::argv(&["locale-gen", "--purge"]),
                false => system::argv(&["locale-gen"]),
            };
            machine.transition(&Transition {
                of: OF.to_owned(),
                before: made.join(" "),
                after: after.join(" "),
                argv,
                // The list is taken back after this, so that no program could make what it says.
                back: None,
            })?;
        }
        let names = names.to_vec();
        Ok(Outcome::default().with("name", names).with("mechanism", "glibc"))
    }
}

/// The locales that can be used.
fn made(machine: &Machine) -> Result<Vec<String>, Failure> {
    if let Some(foretold) = machine.foretold_state(OF) {
        return Ok(foretold.split_whitespace().map(str::to_owned).collect());
    }
    let argv = system::argv(&["locale", "-a"]);
    let output = machine.query(&Command { argv, ..Command::default() })?;
    if !output.is_success() {
        let how = output.how_it_ended();
        return Err(Failure::new(format!("`locale -a` does not tell the locales ({how})")));
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut names: Vec<String> = said.split_whitespace().map(str::to_owned).collect();
    names.sort_by_key(|name| plain(name));
    Ok(names)
}

/// The name as `locale -a` tells it: `de_DE.utf8` for `de_DE.UTF-8`.
fn plain(name: &str) -> String {
    let Some((language, rest)) = name.split_once('.') else { return name.to_owned() };
    let (charset, modifier) = match rest.split_once('@') {
        Some((charset, modifier)) => (charset, format!("@{modifier}")),
        None => (rest, String::new()),
    };
    let charset: String = charset.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{language}.{}{modifier}", charset.to_ascii_lowercase())
}

/// Has the list name the locale, or not: its line is there, or behind a `#`.
fn settle(
    lines: &mut Vec<String>,
    supported: &str,
    name: &str,
    is_absent: bool,
) -> Result<(), Failure> {
    let names = |line: &str| line.split_whitespace().next().is_some_and(|word| word == name);
    let bare = |line: &str| line.trim_start_matches(['#', ' ', '\t']).to_owned();
    if is_absent {
        for line in lines.iter_mut().filter(|line| names(line)) {
            line.insert_str(0, "# ");
        }
        return Ok(());
    }
    if lines.iter().any(|line| names(line)) {
        return Ok(());
    }
    let is_commented = |line: &String| {
        let bare = bare(line);
        line.starts_with('#') && names(&bare) && bare.split_whitespace().count() == 2
    };
    if let Some(line) = lines.iter_mut().find(|line| is_commented(line)) {
        *line = bare(line);
        return Ok(());
    }
    match supported.lines().find(|line| names(line)) {
        Some(line) => lines.push(line.to_owned()),
        None => {
            let why = format!("there is no locale `{name}` in {LIST} or {SUPPORTED}");
            let hint = "they are named as in `de_DE.UTF-8`".to_owned();
            return Err(Failure { hint: Some(hint), ..Failure::new(why) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_is_taken_out_of_its_comment_and_put_back() {
        let list = "# a list of locales\n# de_DE ISO-8859-1\n# de_DE.UTF-8 UTF-8\n";
        let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();
        let before = lines.clone();
        settle(&mut lines, "", "de_DE.UTF-8", false).unwrap();
        assert_eq!(lines[1..], ["# de_DE ISO-8859-1", "de_DE.UTF-8 UTF-8"]);
        settle(&mut lines, "", "de_DE.UTF-8", true).unwrap();
        assert_eq!(lines, before);
        settle(&mut lines, "fr_FR.UTF-8 UTF-8\n", "fr_FR.UTF-8", false).unwrap();
        assert_eq!(lines[3], "fr_FR.UTF-8 UTF-8");
        assert!(settle(&mut lines, "", "xx_XX", false).is_err());
        assert_eq!(plain("de_DE.UTF-8"), "de_DE.utf8");
        assert_eq!(plain("sr_RS.UTF-8@latin"), "sr_RS.utf8@latin");
        assert_eq!(plain("de_DE@euro"), "de_DE@euro");
    }
}
