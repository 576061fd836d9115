//! `/etc/fstab`: lines are changed where they are, others and all comments stay.
//!
//! Source: fstab(5). Blanks within a field are `\040` there.

/// A line that says what is mounted where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// What is mounted.
    pub(super) src: String,
    /// Where; `none` for what is nowhere, such as swap.
    pub(super) point: String,
    /// The kind of file system.
    pub(super) fstype: String,
    /// Options, with commas between.
    pub(super) opts: String,
    /// Whether `dump` saves it.
    pub(super) dump: String,
    /// When it is checked at the start.
    pub(super) passno: String,
}

impl Entry {
    /// Reads a line; `None` where it is none of these.
    fn parse(line: &str) -> Option<(Self, &str)> {
        let line = line.trim();
        // A comment may stand behind the fields.
        let mut fields = Vec::new();
        let mut rest = line;
        while !rest.is_empty() && !rest.starts_with('#') {
            let (field, after) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
            fields.push(unescape(field));
            rest = after.trim_start();
        }
        let mut fields = fields.into_iter();
        let mut field = || fields.next();
        let (src, point, fstype, opts) = (field()?, field()?, field()?, field()?);
        let number = |text: Option<String>| text.unwrap_or_else(|| "0".to_owned());
        let (dump, passno) = (number(field()), number(field()));
        if field().is_some() {
            return None;
        }
        Some((Self { src, point, fstype, opts, dump, passno }, rest))
    }

    fn line(&self) -> String {
        let fields = [&self.src, &self.point, &self.fstype, &self.opts, &self.dump, &self.passno];
        fields.map(|field| escape(field)).join(" ")
    }
}

/// Whether a line is about the mount at `point`. Swap is nowhere, so that what is used counts.
fn is_about(entry: &Entry, point: &str, src: Option<&str>) -> bool {
    let is_other_swap =
        entry.point == "none" && entry.fstype == "swap" && src.is_some_and(|src| src != entry.src);
    entry.point == point && !is_other_swap
}

/// The line about the mount at `point`.
pub(super) fn find(text: &str, point: &str, src: Option<&str>) -> Option<Entry> {
    let entries = text.lines().filter_map(|line| Some(Entry::parse(line)?.0));
    entries.into_iter().find(|entry| is_about(entry, point, src))
}

/// The file with this entry in it; `None` where it is there.
pub(super) fn with(text: &str, wanted: &Entry) -> Option<String> {
    let mut is_found = false;
    let mut is_same = true;
    let mut new = String::new();
    for line in text.lines() {
        match Entry::parse(line) {
            Some((entry, comment)) if is_about(&entry, &wanted.point, Some(&wanted.src)) => {
                is_found = true;
                if entry == *wanted {
                    new.push_str(line);
                } else {
                    is_same = false;
                    new.push_str(&wanted.line());
                    if !comment.is_empty() {
                        new.push(' ');
                        new.push_str(comment);
                    }
                }
            }
            _ => new.push_str(line),
        }
        new.push('\n');
    }
    if !is_found {
        new.push_str(&wanted.line());
        new.push('\n');
    }
    (!is_found || !is_same).then_some(new)
}

/// The file without what is about the mount at `point`; `None` where there is nothing.
pub(super) fn without(text: &str, point: &str, src: Option<&str>) -> Option<String> {
    let goes =
        |line: &&str| Entry::parse(line).is_some_and(|(entry, _)| is_about(&entry, point, src));
    text.lines().any(|line| goes(&line)).then(|| {
        let stay = text.lines().filter(|line| !goes(line));
        stay.flat_map(|line| [line, "\n"]).collect()
    })
}

/// The characters that cannot stand in a field, and how they are written.
const ESCAPES: [(char, &str); 5] =
    [('\\', "\\134"), (' ', "\\040"), ('\t', "\\011"), ('\n', "\\012"), ('&', "\\046")];

fn escape(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    for c in field.chars() {
        match ESCAPES.iter().find(|(plain, _)| *plain == c) {
            Some((_, escaped)) => out.push_str(escaped),
            None => out.push(c),
        }
    }
    out
}

fn unescape(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(c) = rest.chars().next() {
        match ESCAPES.iter().find(|(_, escaped)| rest.starts_with(escaped)) {
            Some((plain, escaped)) => {
                out.push(*plain);
                rest = &rest[escaped.len()..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# the disks\nUUID=1 / ext4 errors=remount-ro 0 1\n\n\
        /dev/b\t/srv/two\\040words\txfs\tdefaults # data\n/dev/s1 none swap sw 0 0\n\
        /dev/s2 none swap sw 0 0\n";

    fn entry(src: &str, point: &str, fstype: &str, opts: &str) -> Entry {
        let [src, point, fstype, opts] = [src, point, fstype, opts].map(str::to_owned);
        Entry { src, point, fstype, opts, dump: "0".into(), passno: "0".into() }
    }

    #[test]
    fn a_line_is_changed_where_it_is_and_keeps_its_comment() {
        let wanted = entry("/dev/b", "/srv/two words", "xfs", "noatime");
        let new = with(TABLE, &wanted).unwrap();
        let line = "/dev/b /srv/two\\040words xfs noatime 0 0 # data";
        let old = "/dev/b\t/srv/two\\040words\txfs\tdefaults # data";
        assert_eq!(new, TABLE.replace(old, line));
        assert_eq!(with(&new, &wanted), None);
        let same = entry("/dev/b", "/srv/two words", "xfs", "defaults");
        assert_eq!(with(TABLE, &same), None, "the last two fields are 0 where they are missing");
        assert_eq!(find(TABLE, "/srv/two words", None), Some(same));
    }

    #[test]
    fn swap_is_told_apart_by_what_is_used() {
        let wanted = entry("/dev/s2", "none", "swap", "pri=1");
        let new = with(TABLE, &wanted).unwrap();
        assert_eq!(new, TABLE.replace("/dev/s2 none swap sw", "/dev/s2 none swap pri=1"));
        let gone = without(TABLE, "none", Some("/dev/s1")).unwrap();
        assert_eq!(gone, TABLE.replace("/dev/s1 none swap sw 0 0\n", ""));
        assert_eq!(without(TABLE, "/none", None), None);
    }

    #[test]
    fn what_is_no_entry_stays_as_it_is() {
        let text = "a b c\n1 2 3 4 5 6 7";
        let wanted = entry("tmpfs", "/t", "tmpfs", "a&b");
        let new = with(text, &wanted).unwrap();
        assert_eq!(new, format!("{text}\ntmpfs /t tmpfs a\\046b 0 0\n"));
        assert_eq!(find(&new, "/t", None), Some(wanted));
    }
}
