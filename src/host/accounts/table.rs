//! A file of lines with colons in them: passwd, group and their kin.

use bytes::Bytes;
use std::fmt;

/// A line that means something, as its fields.
pub trait Entry: Sized {
    /// From the fields of a line; `None` where it is none of this kind.
    fn read(fields: &[&str]) -> Option<Self>;
    /// The line without its end.
    fn line(&self) -> String;
    /// The first field, which tells whose line it is.
    fn name(&self) -> &str;
}

/// The lines of a file. What is not touched stays as it is, to the byte; a line that is written ends
/// the file with a line end.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Table {
    lines: Vec<String>,
    /// Whether the bytes are UTF-8. Otherwise each is a character, so that it can be put back.
    is_utf8: bool,
    /// Whether the last line has an end.
    is_ended: bool,
}

/// Lines may hold hashes of passwords.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table of {} lines", self.lines.len())
    }
}

impl Table {
    /// Takes a file apart.
    pub fn read(content: &[u8]) -> Self {
        let text = std::str::from_utf8(content).map(str::to_owned);
        let is_utf8 = text.is_ok();
        let text = text.unwrap_or_else(|_| content.iter().copied().map(char::from).collect());
        let is_ended = text.is_empty() || text.ends_with('\n');
        let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n').map(str::to_owned);
        let lines = if text.is_empty() { Vec::new() } else { lines.collect() };
        Self { lines, is_utf8, is_ended }
    }

    /// The bytes of the file.
    pub fn content(&self) -> Bytes {
        let mut text = self.lines.join("\n");
        if self.is_ended && !self.lines.is_empty() {
            text.push('\n');
        }
        if self.is_utf8 {
            return Bytes::from(text);
        }
        text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect::<Vec<u8>>().into()
    }

    /// All entries, in order.
    pub fn entries<E: Entry>(&self) -> impl Iterator<Item = E> {
        self.lines.iter().filter_map(|line| read(line))
    }

    /// The first entry called `name`.
    pub fn find<E: Entry>(&self, name: &str) -> Option<E> {
        self.lines.iter().find(|line| name_of(line) == Some(name)).and_then(|line| read(line))
    }

    /// Whether a line begins with `name`.
    pub fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|line| name_of(line) == Some(name))
    }

    /// The lines that are entries, as they are.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str).filter(|line| name_of(line).is_some())
    }

    /// The line of an entry by its name, or by its number where that is the third field.
    pub fn line_of(&self, key: &str) -> Option<&str> {
        let has_number = |line: &&str| {
            let is_number = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
            is_number && line.split(':').nth(2) == Some(key)
        };
        let named = self.lines().find(|line| name_of(line) == Some(key));
        named.or_else(|| self.lines().find(has_number))
    }

    /// Puts `entry` in the place of the first of its name, or at the end, but before what comes from
    /// NIS: that must stay last.
    pub fn put<E: Entry>(&mut self, entry: &E) {
        let line = entry.line();
        let known = self.lines.iter().position(|line| name_of(line) == Some(entry.name()));
        match known {
            Some(at) if self.lines[at] == line => return,
            Some(at) => self.lines[at] = line,
            None => {
                let of_nis = self.lines.iter().position(|line| line.starts_with(['+', '-']));
                self.lines.insert(of_nis.unwrap_or(self.lines.len()), line);
            }
        }
        self.is_ended = true;
    }

    /// Takes out all lines of `name`.
    pub fn remove(&mut self, name: &str) {
        self.lines.retain(|line| name_of(line) != Some(name));
    }

    /// What `change` makes of each entry; lines that it leaves alone stay as they are.
    pub fn update<E: Entry + PartialEq>(&mut self, change: impl Fn(&mut E)) {
        for line in &mut self.lines {
            let (Some(old), Some(mut new)) = (read::<E>(line), read::<E>(line)) else { continue };
            change(&mut new);
            if new != old {
                *line = new.line();
            }
        }
    }
}

/// The name of an entry; none of a comment, an empty line, or what comes from NIS.
fn name_of(line: &str) -> Option<&str> {
    let name = line.split(':').next().unwrap_or_default();
    (!name.is_empty() && !name.starts_with(['#', '+', '-'])).then_some(name)
}

fn read<E: Entry>(line: &str) -> Option<E> {
    name_of(line)?;
    let fields: Vec<&str> = line.split(':').collect();
    E::read(&fields)
}
