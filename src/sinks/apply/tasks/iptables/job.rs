//! Brings one table of one version of IP into the state that a task asks for.

use super::super::{Failure, system};
use super::{ABSENT, PRESENT, place};
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Output};
use crate::host::machine::state::Transition;
use crate::sinks::apply::params::Params;

/// What one of the programs is to do.
pub(super) struct Job<'a> {
    /// What the task says.
    pub(super) params: &'a Params,
    /// The program of a version of IP.
    pub(super) program: &'static str,
    pub(super) table: &'a str,
    pub(super) chain: Option<&'a str>,
    /// The rule as arguments; empty where the task names none.
    pub(super) rule: Vec<String>,
}

impl Job<'_> {
    pub(super) fn converge(&self, machine: &mut Machine) -> Result<(), Failure> {
        let is_wanted = self.params.text("state") != Some(ABSENT);
        match self.chain {
            chain if self.params.flag("flush", false) => self.flush(machine, chain),
            Some(chain) => match self.params.text("policy") {
                Some(policy) => self.set_policy(machine, chain, policy),
                None if self.rule.is_empty() => self.have_chain(machine, chain, is_wanted),
                None => self.have_rule(machine, chain, is_wanted),
            },
            None => Ok(()),
        }
    }

    /// The command for an action on a chain, with more words behind.
    fn argv(&self, action: &str, chain: Option<&str>, more: &[&str]) -> Vec<String> {
        let place = self.params.text("rule_num").filter(|_| action == "-I");
        self.argv_at(action, chain, place, more)
    }

    /// The same at a place among the rules of the chain.
    fn argv_at(
        &self,
        action: &str,
        chain: Option<&str>,
        place: Option<&str>,
        more: &[&str],
    ) -> Vec<String> {
        let mut argv = system::argv(&[self.program, "-t", self.table, action]);
        argv.extend(chain.into_iter().chain(place).map(str::to_owned));
        if let Some(wait) = self.params.text("wait") {
            argv.extend(system::argv(&["-w", wait]));
        }
        argv.extend(system::argv(more));
        argv
    }

    fn of(&self, what: &str) -> String {
        format!("{} {} {what}", self.program, self.table)
    }

    fn ask(&self, machine: &Machine, argv: Vec<String>) -> Result<Output, Failure> {
        Ok(machine.query(&Command { argv, ..Command::default() })?)
    }

    /// Whether the chain is there.
    fn has_chain(&self, machine: &Machine, chain: &str) -> Result<bool, Failure> {
        if let Some(foretold) = machine.foretold_state(&self.of(&format!("chain {chain}"))) {
            return Ok(foretold == PRESENT);
        }
        Ok(self.ask(machine, self.argv("-S", Some(chain), &[]))?.is_success())
    }

    fn have_chain(
        &self,
        machine: &mut Machine,
        chain: &str,
        is_wanted: bool,
    ) -> Result<(), Failure> {
        let is_there = self.has_chain(machine, chain)?;
        let make = self.argv("-N", Some(chain), &[]);
        let remove = self.argv("-X", Some(chain), &[]);
        self.step(machine, &format!("chain {chain}"), [is_there, is_wanted], [make, remove], true)
    }

    fn have_rule(
        &self,
        machine: &mut Machine,
        chain: &str,
        is_wanted: bool,
    ) -> Result<(), Failure> {
        let words: Vec<&str> = self.rule.iter().map(String::as_str).collect();
        let name = format!("rule {chain} {}", self.rule.join(" "));
        let is_there = match machine.foretold_state(&self.of(&name)) {
            Some(foretold) => foretold == PRESENT,
            None if machine.foretold_state(&self.of(&format!("rules of {chain}"))).is_some() => {
                false
            }
            None => self.ask(machine, self.argv("-C", Some(chain), &words))?.is_success(),
        };
        if is_wanted && !is_there && !self.has_chain(machine, chain)? {
            let why = format!("the table `{}` has no chain `{chain}`", self.table);
            let hint = "`chain_management: true` without a rule makes it".to_owned();
            return Err(Failure { hint: Some(hint), ..Failure::new(why) });
        }
        let action = if self.params.text("action") == Some("insert") { "-I" } else { "-A" };
        let make = self.argv(action, Some(chain), &words);
        let remove = self.argv("-D", Some(chain), &words);
        let goes = is_there && !is_wanted && !machine.is_dry_run();
        let place = goes.then(|| place::of(machine, self.program, [self.table, chain], &remove));
        let place = place.flatten();
        let make = match place {
            Some(place) => self.argv_at("-I", Some(chain), Some(&place.to_string()), &words),
            None => make,
        };
        // Where its place among the others is not known, it is not put back.
        let can_undo = is_wanted || place.is_some();
        self.step(machine, &name, [is_there, is_wanted], [make, remove], can_undo)
    }

    /// Has something be there or not; `can_undo` says whether the other command takes it back.
    fn step(
        &self,
        machine: &mut Machine,
        name: &str,
        [is_there, is_wanted]: [bool; 2],
        [make, remove]: [Vec<String>; 2],
        can_undo: bool,
    ) -> Result<(), Failure> {
        if is_there == is_wanted {
            return Ok(());
        }
        let word = |is_there| if is_there { PRESENT } else { ABSENT }.to_owned();
        let (argv, back) = if is_wanted { (make, remove) } else { (remove, make) };
        Ok(machine.transition(&Transition {
            of: self.of(name),
            before: word(is_there),
            after: word(is_wanted),
            argv,
            back: can_undo.then_some(back),
        })?)
    }

    fn set_policy(&self, machine: &mut Machine, chain: &str, policy: &str) -> Result<(), Failure> {
        let of = self.of(&format!("policy of {chain}"));
        let now = match machine.foretold_state(&of) {
            Some(foretold) => foretold,
            None => {
                let output = self.ask(machine, self.argv("-S", Some(chain), &[]))?;
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                let begins = format!("-P {chain} ");
                let now = said.lines().find_map(|line| line.strip_prefix(&begins));
                now.map(|now| now.split(' ').next().unwrap_or_default().to_owned()).ok_or_else(
                    || Failure::new(format!("the chain `{chain}` has no policy, or there is none")),
                )?
            }
        };
        if now == policy {
            return Ok(());
        }
        let argv = self.argv("-P", Some(chain), &[policy]);
        let back = Some(self.argv("-P", Some(chain), &[&now]));
        let after = policy.to_owned();
        Ok(machine.transition(&Transition { of, before: now, after, argv, back })?)
    }

    fn flush(&self, machine: &mut Machine, chain: Option<&str>) -> Result<(), Failure> {
        let of = self.of(&format!("rules of {}", chain.unwrap_or("all chains")));
        if machine.foretold_state(&of).is_some() {
            return Ok(());
        }
        let is_made = chain.is_some_and(|chain| {
            machine.foretold_state(&self.of(&format!("chain {chain}"))).is_some()
        });
        let output = self.ask(machine, self.argv("-S", chain, &[]))?;
        if !output.is_success() && !is_made {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Failure::new(format!("the rules cannot be told: {said}")));
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let rules: Vec<&str> = said.lines().filter(|line| line.starts_with("-A ")).collect();
        let of_rules = chain.map_or("rule ".to_owned(), |chain| format!("rule {chain} "));
        if rules.is_empty() && !machine.foretells_state_of(&self.of(&of_rules)) {
            return Ok(());
        }
        let argv = self.argv("-F", chain, &[]);
        let before = format!("{} rules", rules.len());
        let after = "none".to_owned();
        let back = Some(place::put_back(self.program, self.table, &rules));
        Ok(machine.transition(&Transition { of, before, after, argv, back })?)
    }
}
