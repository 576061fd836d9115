//! What dnf and yum say of packages that have a newer version.

/// How many packages `check-update` lists.
///
/// An entry is `NAME.ARCH VERSION REPOSITORY`. Where a word is longer than its column, what follows it
/// stands on the next line, indented. What would be replaced by packages of another name comes at the
/// end, is in the list above too, and is left out.
///
/// - Source: standard output of `yum --quiet check-update` (3.4), and of the same of dnf 4 and 5. The
///   fifth has a heading, and says in a sentence that nothing of the kind asked for waits.
pub fn updates(said: &str) -> usize {
    let is_end = |line: &&str| line.to_ascii_lowercase().starts_with("obsoleting packages");
    let mut found = 0;
    let mut entry = Entry::default();
    for line in said.lines().take_while(|line| !is_end(line)) {
        let words = line.split_ascii_whitespace().count();
        if line.starts_with(char::is_whitespace) {
            entry.words += words;
            continue;
        }
        found += usize::from(entry.is_update());
        let first = line.split_ascii_whitespace().next();
        entry = Entry { is_named: first.is_some_and(|name| name.contains('.')), words };
    }
    found + usize::from(entry.is_update())
}

/// What is read of an entry.
#[derive(Default)]
struct Entry {
    is_named: bool,
    words: usize,
}

impl Entry {
    fn is_update(&self) -> bool {
        self.is_named && self.words == 3
    }
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
    #[test]
    fn yum_breaks_a_line_behind_each_word_that_is_too_long() {
        let said = "\n\
            NetworkManager-config-server.noarch\n\
            \x20                       1:1.18.8-2.el7_9                   updates\n\
            alpha.x86_64            3.10.0-1160.119.1.el7              updates\n\
            beta-with-a-version.x86_64 1:1.2.3-20260101gitabcdef0123456789.el7\n\
            \x20                                                          updates\n\
            gamma-with-a-long-name-and-a-long-version.x86_64\n\
            \x20                       1:1.2.3-20260101gitabcdef0123456789.el7\n\
            \x20                                                          updates\n";
        assert_eq!(updates(said), 4);
    }

    #[test]
    fn the_fifth_dnf_has_a_heading_and_a_sentence_where_nothing_waits() {
        let said = "Upgrades\n\
            alpha-libs.x86_64    6.0.0~alpha1-1.fc44 updates\n\
            beta.noarch          0.13.8-1.fc44       copr:copr.example.org:beta\n\n\
            Obsoleting packages\n\
            beta.noarch          0.13.8-1.fc44       copr:copr.example.org:beta\n\
            \x20   old-beta.noarch  5.2.5-1.fc44        updates\n\n";
        assert_eq!(updates(said), 2);
        let before_there_were_headings = said.replacen("Upgrades\n", "", 1);
        assert_eq!(updates(&before_there_were_headings), 2);
        assert_eq!(updates("No security updates needed, but 42 update(s) available\n"), 0);
    }
}
