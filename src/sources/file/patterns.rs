//! Patterns of paths: which files a source follows, and how to find them.
//!
//! A pattern is walked component by component: a literal one is joined without reading its
//! directory, so that `/var/log/app/*.log` never looks at the rest of `/var/log`.

use globset::{GlobBuilder, GlobMatcher};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// What to follow and what to leave alone.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    include: Vec<Pattern>,
    exclude: Vec<Exclusion>,
}

#[derive(Clone, Debug)]
struct Pattern {
    whole: GlobMatcher,
    steps: Vec<Step>,
}

/// One component of a pattern.
#[derive(Clone, Debug)]
enum Step {
    Literal(OsString),
    Glob(GlobMatcher),
    /// `**`: any number of directories.
    Deep,
}

#[derive(Clone, Debug)]
struct Exclusion {
    glob: GlobMatcher,
    /// A pattern without a slash is held against the name alone.
    name_only: bool,
}

/// A file that matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// When it was last written to: seconds since the epoch.
    pub(super) modified_seconds: i64,
    /// Whether the path leads over a symbolic link, so that its directory's watch says nothing
    /// about the file's content.
    pub(super) is_link: bool,
}

/// What a walk came across.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Regular files that match, in order of the patterns and of their names.
    pub(super) files: Vec<Found>,
    /// Matching paths that are not regular files.
    pub(super) odd: Vec<PathBuf>,
    /// Whether a literal part of a pattern does not exist (yet).
    pub(super) incomplete: bool,
    seen: HashSet<PathBuf>,
}

impl Patterns {
    /// Compiles; the error is in a user's words.
    pub(super) fn new(include: &[String], exclude: &[String]) -> Result<Self, String> {
        if include.is_empty() {
            return Err("`include` is empty: name at least one file or pattern".to_owned());
        }
        let include = include.iter().map(|text| Pattern::new(text)).collect::<Result<_, _>>()?;
        let exclude = exclude.iter().map(|text| Exclusion::new(text)).collect::<Result<_, _>>()?;
        Ok(Self { include, exclude })
    }

    /// Whether a file of this path is to be followed.
    pub(super) fn matches(&self, path: &Path) -> bool {
        self.include.iter().any(|pattern| pattern.whole.is_match(path)) && !self.excludes(path)
    }

    /// Looks for files. `enter` is told of each directory before it is read, so that a watch set
    /// there misses nothing.
    pub(super) fn walk(&self, enter: &mut dyn FnMut(&Path)) -> Walk {
        let mut walk = Walk::default();
        for pattern in &self.include {
            let mut trail = Vec::new();
            self.step(Path::new("/"), &pattern.steps, &mut trail, enter, &mut walk);
        }
        walk
    }

    fn excludes(&self, path: &Path) -> bool {
        self.exclude.iter().any(|exclusion| match (exclusion.name_only, path.file_name()) {
            (true, Some(name)) => exclusion.glob.is_match(name),
            _ => exclusion.glob.is_match(path),
        })
    }

    fn step(
        &self,
        at: &Path,
        steps: &[Step],
        trail: &mut Vec<(u64, u64)>,
        enter: &mut dyn FnMut(&Path),
        walk: &mut Walk,
    ) {
        let Some((step, rest)) = steps.split_first() else { return };
        if let Step::Literal(name) = step {
            let path = at.join(name);
            if rest.is_empty() {
                enter(at);
                self.leaf(path, true, walk);
            } else if path.is_dir() {
                self.step(&path, rest, trail, enter, walk);
            } else {
                walk.incomplete = true;
            }
            return;
        }
        // A link that leads back up would be walked for ever.
        let Ok(meta) = fs::metadata(at) else { return };
        let here = (meta.dev(), meta.ino());
        if trail.contains(&here) && matches!(step, Step::Deep) {
            return;
        }
        enter(at);
        if matches!(step, Step::Deep) {
            self.step(at, rest, trail, enter, walk);
        }
        trail.push(here);
        for entry in entries(at) {
            let path = at.join(&entry.name);
            match step {
                Step::Deep if entry.may_be_dir && path.is_dir() => {
                    self.step(&path, steps, trail, enter, walk);
                }
                Step::Glob(glob) if glob.is_match(&entry.name) => {
                    if rest.is_empty() {
                        self.leaf(path, entry.is_link, walk);
                    } else if entry.may_be_dir && path.is_dir() {
                        self.step(&path, rest, trail, enter, walk);
                    }
                }
                _ => {}
            }
        }
        trail.pop();
    }

    fn leaf(&self, path: PathBuf, may_be_link: bool, walk: &mut Walk) {
        if self.excludes(&path) || walk.seen.contains(&path) {
            return;
        }
        let Ok(meta) = fs::metadata(&path) else { return };
        if meta.is_dir() {
            return;
        }
        walk.seen.insert(path.clone());
        if !meta.is_file() {
            walk.odd.push(path);
            return;
        }
        let is_link = may_be_link && path.is_symlink();
        walk.files.push(Found {
            path,
            device: meta.dev(),
            inode: meta.ino(),
            modified_seconds: meta.mtime(),
            is_link,
        });
    }
}

struct Entry {
    name: OsString,
    may_be_dir: bool,
    is_link: bool,
}

/// A directory's entries by name; none where it cannot be read.
fn entries(dir: &Path) -> Vec<Entry> {
    let Ok(read) = fs::read_dir(dir) else { return Vec::new() };
    let mut entries: Vec<Entry> = read
        .flatten()
        .map(|entry| {
            let kind = entry.file_type().ok();
            Entry {
                name: entry.file_name(),
                may_be_dir: kind.is_none_or(|kind| kind.is_dir() || kind.is_symlink()),
                is_link: kind.is_none_or(|kind| kind.is_symlink()),
            }
        })
        .collect();
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    entries
}

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        let path = std::path::absolute(text)
            .map_err(|error| format!("`{text}` cannot be made an absolute path: {error}"))?;
        let mut steps = Vec::new();
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let text = name.to_string_lossy();
            if text.matches('{').count() != text.matches('}').count() {
                return Err(format!(
                    "`{}` has braces around a `/`; write one pattern for each of its parts",
                    path.display()
                ));
            }
            steps.push(match &*text {
                "**" => Step::Deep,
                text if text.contains(['*', '?', '[', '{']) => Step::Glob(glob(text)?),
                _ => Step::Literal(name.to_owned()),
            });
        }
        if matches!(steps.last(), Some(Step::Deep)) {
            steps.push(Step::Glob(glob("*")?));
        }
        Ok(Self { whole: glob(&path.to_string_lossy())?, steps })
    }
}

impl Exclusion {
    fn new(text: &str) -> Result<Self, String> {
        let name_only = !text.contains('/');
        Ok(Self { glob: glob(text)?, name_only })
    }
}

fn glob(text: &str) -> Result<GlobMatcher, String> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("`{text}` is no pattern of paths: {}", error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(dir: &Path, include: &[&str], exclude: &[&str]) -> Vec<String> {
        let include: Vec<_> =
            include.iter().map(|text| format!("{}/{text}", dir.display())).collect();
        let exclude: Vec<_> = exclude.iter().map(|text| (*text).to_owned()).collect();
        let patterns = Patterns::new(&include, &exclude).unwrap();
        let walk = patterns.walk(&mut |_| {});
        assert!(walk.files.iter().all(|found| patterns.matches(&found.path)));
        let name =
            |found: &Found| found.path.strip_prefix(dir).unwrap().to_string_lossy().into_owned();
        walk.files.iter().map(name).collect()
    }

    #[test]
    fn patterns_find_what_they_say_and_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "b.log", "c.txt", "sub/d.log", "sub/deep/e.log", "sub/old/f.log"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink(dir.path(), dir.path().join("sub/up")).unwrap();
        let dir = dir.path();
        assert_eq!(find(dir, &["*.log", "a.*"], &[]), ["a.log", "b.log"]);
        assert_eq!(find(dir, &["a.log"], &[]), ["a.log"]);
        assert_eq!(find(dir, &["sub/{deep,old}/*.log"], &[]), ["sub/deep/e.log", "sub/old/f.log"]);
        assert_eq!(
            find(dir, &["**/*.log"], &["b.*", "**/old/**"]),
            ["a.log", "sub/d.log", "sub/deep/e.log"]
        );
        assert_eq!(find(dir, &["sub/deep/**"], &[]), ["sub/deep/e.log"]);
    }

    #[test]
    fn a_pattern_that_cannot_work_is_refused_with_what_to_do() {
        let refusal = |text: &str| Patterns::new(&[text.to_owned()], &[]).unwrap_err();
        assert!(refusal("/var/{log/a,log/b}/*.log").contains("one pattern for each"));
        assert!(refusal("/var/log/[a").contains("no pattern of paths"));
    }
}
