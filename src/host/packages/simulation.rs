//! What `apt-get --simulate` says that it would do.
//!
//! Source: apt-get(8): a line for each package, `Inst` with the old version in brackets and the new
//! one in parentheses, `Remv` and `Purg` with the old one. `Conf` follows each `Inst`, or stands alone.

/// What would become of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name, with its architecture where that is not the host's own.
    pub name: String,
    /// What would be done.
    pub action: Action,
}

/// What would be done with a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// This version would be installed.
    Install(String),
    /// It would be removed, and its configuration would stay.
    Remove,
    /// It would be removed with its configuration.
    Purge,
}

/// An installed package of which apt would install another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// Its name.
    pub name: String,
    /// Where the new version comes from: `Debian-Security:12/stable-security`, several with commas
    /// between them.
    pub origin: String,
}

/// The packages that are installed and would be so in another version.
pub fn upgrades(said: &str) -> Vec<Upgrade> {
    let upgrade = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(" [")?;
        let (_, new) = rest.split_once("] (")?;
        let origin = new.split_once(' ').map_or("", |(_, rest)| rest);
        let origin = origin.split(" [").next().unwrap_or_default();
        Some(Upgrade { name: name.to_owned(), origin: origin.to_owned() })
    };
    said.lines().filter_map(upgrade).collect()
}

/// All steps, in apt's order.
pub fn steps(said: &str) -> Vec<Step> {
    said.lines().filter_map(step).collect()
}

fn step(line: &str) -> Option<Step> {
    let (word, rest) = line.split_once(' ')?;
    let name = rest.split(' ').next()?.to_owned();
    let action = match word {
        // What was left half done is only configured.
        "Inst" | "Conf" => {
            Action::Install(rest.split_once(" (")?.1.split([' ', ')']).next()?.to_owned())
        }
        "Remv" => Action::Remove,
        "Purg" => Action::Purge,
        _ => return None,
    };
    Some(Step { name, action })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_would_do_is_read_and_what_it_says_beside_is_not() {
        let said = "Reading package lists...\nThe following NEW packages will be installed:\n  a\n\
            Inst a [1.0] (1.1 Local:1/stable [amd64]) []\nInst b:i386 (2:3~4 [i386])\n\
            Conf a (1.1 Local:1/stable [amd64])\nRemv c [1.0]\nPurg d:i386 [1.0-1]\nInst\nInst x\n";
        let step = |name: &str, action| Step { name: name.to_owned(), action };
        let expected = [
            step("a", Action::Install("1.1".into())),
            step("b:i386", Action::Install("2:3~4".into())),
            step("a", Action::Install("1.1".into())),
            step("c", Action::Remove),
            step("d:i386", Action::Purge),
        ];
        assert_eq!(steps(said), expected);
    }
}
