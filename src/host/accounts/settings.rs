//! How a host makes accounts: `/etc/login.defs` and `/etc/default/useradd`.

use std::collections::HashMap;
use std::ops::RangeInclusive;

/// What both files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    login: HashMap<String, String>,
    useradd: HashMap<String, String>,
}

impl Settings {
    /// Reads login.defs(5) and the defaults of useradd(8).
    pub fn read(login_defs: &str, useradd: &str) -> Self {
        let entries = |text: &str, separator: fn(char) -> bool| {
            let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            let pairs = lines.filter_map(|line| line.split_once(separator));
            pairs
                .map(|(name, value)| (name.trim().into(), value.trim().trim_matches('"').into()))
                .collect()
        };
        Self {
            login: entries(login_defs, char::is_whitespace),
            useradd: entries(useradd, |separator| separator == '='),
        }
    }

    /// A number of login.defs: decimal, octal with a leading `0` or hexadecimal with `0x`.
    pub fn number(&self, name: &str) -> Option<i64> {
        let text = self.login.get(name)?;
        match (text.strip_prefix("0x"), text.strip_prefix('0')) {
            (Some(digits), _) => i64::from_str_radix(digits, 16).ok(),
            (None, Some(digits)) if !digits.is_empty() => i64::from_str_radix(digits, 8).ok(),
            _ => text.parse().ok(),
        }
    }

    /// Whether a switch of login.defs is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.login.get(name).is_some_and(|value| value.eq_ignore_ascii_case("yes"))
    }

    /// What new users get, by the name that useradd has for it; none where it says nothing.
    pub fn default(&self, name: &str) -> Option<&str> {
        self.useradd.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where mail is delivered to.
    pub fn mail_directory(&self) -> &str {
        self.login.get("MAIL_DIR").map_or("/var/mail", String::as_str)
    }

    /// The permissions of a new home: those that login.defs names, else what the umask leaves.
    pub fn home_mode(&self, umask: Option<u32>) -> u32 {
        let octal = |name| self.login.get(name).and_then(|text| u32::from_str_radix(text, 8).ok());
        let of_umask = || 0o777 & !umask.or_else(|| octal("UMASK")).unwrap_or(0o022);
        octal("HOME_MODE").unwrap_or_else(of_umask)
    }

    /// The numbers that new users (`UID`) or groups (`GID`) get, and those of system ones.
    pub fn numbers(
        &self,
        kind: &str,
        of_system: bool,
        least: Option<u32>,
        most: Option<u32>,
    ) -> RangeInclusive<u32> {
        let number = |name: String| self.number(&name).and_then(|number| number.try_into().ok());
        let first = least.or_else(|| number(format!("{kind}_MIN"))).unwrap_or(1000);
        if of_system {
            let least = number(format!("SYS_{kind}_MIN")).unwrap_or(101);
            return least..=number(format!("SYS_{kind}_MAX")).unwrap_or(first.saturating_sub(1));
        }
        first..=most.or_else(|| number(format!("{kind}_MAX"))).unwrap_or(60_000)
    }

    /// Numbers for namespaces: the least, the greatest, and how many a user gets.
    pub fn sub_numbers(&self, kind: &str) -> (u64, u64, u64) {
        let number = |name: &str, usual| {
            let found = self.number(&format!("SUB_{kind}_{name}"));
            found.and_then(|number| number.try_into().ok()).unwrap_or(usual)
        };
        (number("MIN", 100_000), number("MAX", 600_100_000), number("COUNT", 65_536))
    }
}
