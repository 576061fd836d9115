//! What dnf and yum say of packages that have a newer version.

/// How many packages `check-update` lists. A line is `NAME.ARCH VERSION REPOSITORY`, a long name has
/// a line of its own; what would be replaced by packages of another name comes at the end, twice,
/// and is left out.
///
/// - Source: standard output of `dnf --quiet check-update`, and of yum and dnf5.
pub fn updates(said: &str) -> usize {
    let is_end = |line: &&str| line.to_ascii_lowercase().starts_with("obsoleting packages");
    let lines: Vec<&str> = said.lines().take_while(|line| !is_end(line)).collect();
    let words = |line: &str| line.split_ascii_whitespace().count();
    let is_update = |(at, line): (usize, &&str)| {
        let is_indented = line.starts_with(char::is_whitespace);
        let is_named = line.split_ascii_whitespace().next().is_some_and(|name| name.contains('.'));
        let goes_on = || {
            let next = lines.get(at + 1).filter(|next| next.starts_with(char::is_whitespace));
            next.is_some_and(|next| words(next) == 2)
        };
        let is_whole = match words(line) {
            1 => goes_on(),
            count => count == 3,
        };
        is_named && !is_indented && is_whole
    };
    lines.iter().enumerate().filter(|entry| is_update(*entry)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_counted_once_whatever_stands_around_them() {
        let said = "Last metadata expiration check: 0:12:34 ago on Sun Nov 29 2026.\n\n\
            a-very-long-name-that-has-a-line-of-its-own-for-it-would-not-fit.noarch\n\
            \x20                    2.0-1             updates\n\
            alpha.x86_64         1:2.0-1.el9       baseos\n\
            beta.noarch          3-1               @System\n\
            Security: kernel-core-5.14.0-1.el9.x86_64 is an installed security update\n\
            Obsoleting Packages\n\
            new.noarch           2-1               updates\n\
            \x20   old.noarch       1-1               @updates\n";
        assert_eq!(updates(said), 3);
        assert_eq!(updates(""), 0);
        assert_eq!(updates("Error: Failed to download metadata\nalone.noarch\n"), 0);
    }
}
