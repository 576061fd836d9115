//! Rules that are taken from a chain, and how they are put back to their place.

use super::super::system;
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Output};

/// Makes a table anew of what is saved, takes a rule from a chain and tells the others. `$0` is the
/// program, `$1` the one that reads what is saved; the rest takes the rule away.
const WITHOUT: &str =
    r#"restore=$1; shift; "$restore" && "$@" >&2 && "$0" -t "$TABLE" -S "$CHAIN""#;

/// The number of the rule that `remove` would take from the chain: in a network of its own, which is
/// gone at once, the table is made again without it. `None` where that cannot be done.
pub(super) fn of(
    machine: &Machine,
    program: &str,
    [table, chain]: [&str; 2],
    remove: &[String],
) -> Option<usize> {
    let ask = |argv: &[&str]| {
        machine.query(&Command { argv: system::argv(argv), ..Command::default() }).ok()
    };
    let (save, restore) = (format!("{program}-save"), format!("{program}-restore"));
    let saved = ask(&[&save, "-t", table])?;
    let all = ask(&[program, "-t", table, "-S", chain])?;
    let start = ["unshare", "--net", "--", "sh", "-c", WITHOUT, program, &restore];
    let environment = [("TABLE", table), ("CHAIN", chain)];
    let command = Command {
        argv: [system::argv(&start), remove.to_vec()].concat(),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        stdin: Some(saved.stdout),
        ..Command::default()
    };
    let left = machine.query(&command).ok().filter(Output::is_success)?;
    first_gone(&all.stdout, &left.stdout)
}

/// The command that adds rules, as the program tells them, to chains that have lost theirs.
pub(super) fn put_back(program: &str, table: &str, rules: &[&str]) -> Vec<String> {
    let restore = format!(r#"printf '%s' "$1" | {program}-restore --noflush"#);
    let all = format!("*{table}\n{}\nCOMMIT\n", rules.join("\n"));
    system::argv(&["sh", "-c", &restore, program, &all])
}

/// The number of the first rule of a chain that is not among those which are left. What comes before
/// the rules is the chain itself.
fn first_gone(all: &[u8], left: &[u8]) -> Option<usize> {
    let rules = |said: &[u8]| -> Vec<String> {
        let said = String::from_utf8_lossy(said);
        said.lines().filter(|line| line.starts_with("-A ")).map(str::to_owned).collect()
    };
    let (all, left) = (rules(all), rules(left));
    if all.len() != left.len() + 1 {
        return None;
    }
    let same = all.iter().zip(&left).take_while(|(one, other)| one == other).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_rule_is_where_those_that_are_left_begin_to_differ() {
        let all = "-P INPUT ACCEPT\n-A INPUT -p tcp -j DROP\n-A INPUT -j ACCEPT\n-A INPUT -p udp -j DROP\n";
        let place = |gone: &str| first_gone(all.as_bytes(), all.replace(gone, "").as_bytes());
        assert_eq!(place("-A INPUT -p tcp -j DROP\n"), Some(1));
        assert_eq!(place("-A INPUT -j ACCEPT\n"), Some(2));
        assert_eq!(place("-A INPUT -p udp -j DROP\n"), Some(3));
        assert_eq!(place("-A OUTPUT -j DROP\n"), None);
    }
}
