//! `/etc/os-release`: what a system says that it is.

use std::collections::HashMap;

/// Lines `KEY=value`, with the quotes and backslashes of a shell.
pub fn variables(text: &str) -> HashMap<&str, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key, unquote(value))).collect()
}

fn unquote(value: &str) -> String {
    let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = quoted('\'') {
        return literal.to_owned();
    }
    let mut out = String::with_capacity(value.len());
    let mut chars = quoted('"').unwrap_or(value).chars();
    while let Some(char) = chars.next() {
        out.push(if char == '\\' { chars.next().unwrap_or('\\') } else { char });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quotes_of_a_shell_are_taken_off() {
        let release = variables("# x\nID=debian\nNAME=\"A \\\"B\\\" \\$C\"\nV='1 \\ 2'\n\nODD\n");
        assert_eq!(release["ID"], "debian");
        assert_eq!(release["NAME"], "A \"B\" $C");
        assert_eq!(release["V"], "1 \\ 2");
        assert_eq!(release.len(), 3);
    }
}
