//! Files of tasks as they are, but for tasks that Driftless refuses to read: in the place of such a
//! one stands a task that fails, under the same name, conditions and register, so that the others
//! run. Where the original means to fail, that is what it gets.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Keys of a task that stay, since other tasks see what comes of them.
const STAYS: [&str; 12] = [
    "name",
    "when",
    "register",
    "loop",
    "loop_control",
    "ignore_errors",
    "vars",
    "tags",
    "notify",
    "failed_when",
    "changed_when",
    "listen",
];

/// The files of a config below `base`, and which lines in them are whose.
pub(super) struct Files {
    base: PathBuf,
    /// Lines that were put in, by file: a line's number, from 1, as it is now.
    added: HashMap<PathBuf, Vec<usize>>,
}

impl Files {
    /// The play says `ignore_errors`, so that every task runs; a block with a `rescue` must not hear
    /// of it.
    pub(super) fn prepare(base: &Path) -> Self {
        let mut files = Self { base: base.to_owned(), added: HashMap::new() };
        let mut ahead = vec![base.to_owned()];
        while let Some(directory) = ahead.pop() {
            for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                let is_yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
                if path.is_dir() && !path.is_symlink() {
                    ahead.push(path);
                } else if is_yaml && path.is_file() {
                    files.let_blocks_fail(&path);
                }
            }
        }
        files
    }

    fn let_blocks_fail(&mut self, path: &Path) {
        let Ok(text) = fs::read_to_string(path) else { return };
        let lines: Vec<&str> = text.lines().collect();
        let mut made: Vec<String> = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let body = line.trim_start_matches([' ', '-']);
            let indent = line.len() - body.len();
            let rescues = |later: &&&str| {
                let begins = later.len() - later.trim_start().len();
                begins == indent && later.trim_start().starts_with("rescue:")
            };
            let inside = |later: &&&str| {
                later.trim().is_empty() || later.len() - later.trim_start().len() >= indent
            };
            let is_block = body.trim_end() == "block:";
            if is_block && lines[number + 1..].iter().take_while(inside).any(|l| rescues(&l)) {
                made.push(format!("{}ignore_errors: false", &line[..indent]));
                self.added.entry(path.to_owned()).or_default().push(made.len());
                made.push(format!("{}{body}", " ".repeat(indent)));
            } else {
                made.push((*line).to_owned());
            }
        }
        if self.added.contains_key(path) {
            fs::write(path, made.join("\n") + "\n").unwrap();
        }
    }

    /// The line of the original that is now at `line`.
    pub(super) fn original(&self, file: &Path, line: usize) -> usize {
        let added = self.added.get(&self.base.join(file));
        line - added.map_or(0, |added| added.iter().filter(|at| **at < line).count())
    }

    /// Lets the task that has something at `line` and `column` of `file` fail with `why`.
    pub(super) fn refuse(&self, file: &Path, line: usize, column: usize, why: &str) {
        let path = self.base.join(file);
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let (begin, end) = task(&lines, line, column)
            .unwrap_or_else(|| panic!("{}:{line}:{column}: no task: {why}", path.display()));
        let indent = dash(&lines[begin]).unwrap();
        let message = format!("REFUSED: {}", why.replace(['{', '}'], "'"));
        let message = serde_json::to_string(&message).unwrap();
        let mut stands_in = Some(format!("fail: {{msg: {message}}}"));
        let mut stays = false;
        for (number, line) in lines.iter_mut().enumerate().take(end).skip(begin) {
            let key = if number == begin {
                Some(line[indent + 2..].trim_start())
            } else {
                let inside = line.strip_prefix(&" ".repeat(indent + 2));
                inside.filter(|line| !line.is_empty() && !line.starts_with([' ', '#']))
            };
            if let Some(key) = key {
                let key = key.split(':').next().unwrap_or_default().trim();
                let to_blame = key == "loop_control" && message.contains("loop_var");
                stays = (STAYS.contains(&key) || key.starts_with("with_")) && !to_blame;
            }
            if stays {
                continue;
            }
            let begins = if number == begin { "- " } else { "  " };
            *line = match stands_in.take() {
                Some(text) => format!("{}{begins}{text}", " ".repeat(indent)),
                None => String::new(),
            };
        }
        assert!(stands_in.is_none(), "{}:{line}:{column}: {why}", path.display());
        fs::write(path, lines.join("\n") + "\n").unwrap();
    }

    /// Whether the task at `line` of `file` says itself that it may fail.
    pub(super) fn may_fail(&self, file: &Path, line: usize) -> bool {
        let text = fs::read_to_string(self.base.join(file)).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let Some((begin, end)) = task(&lines, line, usize::MAX) else { return false };
        let says = |line: &String| {
            line.contains("ignore_errors: ") && !line.contains("ignore_errors: false")
        };
        lines[begin..end].iter().any(says)
    }
}

/// Where the dash of a list's item is.
fn dash(line: &str) -> Option<usize> {
    let begins = line.len() - line.trim_start_matches(' ').len();
    line[begins..].starts_with("- ").then_some(begins)
}

/// The lines of the task that has something at a line and a column, both from 1.
fn task(lines: &[String], line: usize, column: usize) -> Option<(usize, usize)> {
    let holds = |number: &usize| dash(&lines[*number]).is_some_and(|indent| indent < column);
    let begin = (0..line).rev().find(holds)?;
    let indent = dash(&lines[begin])?;
    let goes_on = |line: &&String| {
        let body = line.trim_start_matches(' ');
        body.is_empty() || body.starts_with('#') || line.len() - body.len() > indent
    };
    let length = lines[begin + 1..].iter().take_while(goes_on).count();
    Some((begin, begin + 1 + length))
}
