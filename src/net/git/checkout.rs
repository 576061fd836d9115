//! The files of a commit, laid out in a directory.

use super::failure::{Failure, Reason};
use super::store::of_store;
use git2::{ObjectType, Oid, Repository, Tree, TreeEntry};
use nix::fcntl::AT_FDCWD;
use nix::unistd::symlinkat;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path};

/// No config has more files and directories.
const MOST_ENTRIES: usize = 100_000;
/// No file of a config is larger, in bytes.
const LARGEST_FILE_BYTES: usize = 64 << 20;
/// All files together are not larger, in bytes.
const MOST_BYTES: usize = 1 << 30;
/// No directory is deeper.
const DEEPEST: usize = 64;

/// Modes in a tree (`git ls-tree`).
const EXECUTABLE: i32 = 0o100_755;
const LINK: i32 = 0o120_000;

/// Lays `tree` out in the new directory `path`, and syncs it to the disk. Gives the paths of
/// submodules, which are left out.
pub(super) fn lay_out(
    repository: &Repository,
    tree: &Tree<'_>,
    path: &Path,
) -> Result<Vec<String>, Failure> {
    let mut work = Work { repository, entries: 0, bytes: 0, left_out: Vec::new() };
    work.directory(tree, path, &mut Vec::new())?;
    Ok(work.left_out)
}

struct Work<'r> {
    repository: &'r Repository,
    entries: usize,
    bytes: usize,
    left_out: Vec<String>,
}

impl Work<'_> {
    /// `inside` are the names of the directories from the top down to this one.
    fn directory(
        &mut self,
        tree: &Tree<'_>,
        path: &Path,
        inside: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let disk = |error| Failure::disk(path, &error);
        // Only the agent's own user sees what is below the top.
        let mode = if inside.is_empty() { 0o700 } else { 0o755 };
        DirBuilder::new().mode(mode).create(path).map_err(disk)?;
        for entry in tree {
            let name = OsStr::from_bytes(entry.name_bytes());
            let shown = [&inside.join("/"), "/", &name.to_string_lossy()].concat();
            let shown = shown.trim_start_matches('/').to_owned();
            let refused = |why: &str| Failure::new(Reason::Content, format!("`{shown}` {why}"));
            if !is_name(name) {
                return Err(refused("is not the name of a file"));
            }
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                return Err(refused("is one file more than a config may have (100000)"));
            }
            let to = path.join(name);
            match entry.kind() {
                Some(ObjectType::Tree) if inside.len() >= DEEPEST => {
                    return Err(refused("is deeper than 64 directories"));
                }
                Some(ObjectType::Tree) => {
                    let tree = self.repository.find_tree(entry.id());
                    let tree = tree.map_err(|error| of_store(&error))?;
                    inside.push(name.to_string_lossy().into_owned());
                    self.directory(&tree, &to, inside)?;
                    inside.pop();
                }
                Some(ObjectType::Blob) => {
                    let content = self.content(entry.id(), &refused)?;
                    if entry.filemode_raw() == LINK {
                        let target = Path::new(OsStr::from_bytes(&content));
                        if !stays_inside(target, inside.len()) {
                            return Err(refused("is a link that leads out of the repository"));
                        }
                        link(target, &to).map_err(|error| Failure::disk(&to, &error))?;
                    } else {
                        let written = write(&to, &content, &entry);
                        written.map_err(|error| Failure::disk(&to, &error))?;
                    }
                }
                Some(ObjectType::Commit) => self.left_out.push(shown),
                _ => return Err(refused("is neither a file nor a directory")),
            }
        }
        File::open(path).and_then(|directory| directory.sync_all()).map_err(disk)
    }

    fn content(&mut self, id: Oid, refused: &dyn Fn(&str) -> Failure) -> Result<Vec<u8>, Failure> {
        // How large it is, is asked before it is unpacked.
        let odb = self.repository.odb().map_err(|error| of_store(&error))?;
        let (size, _) = odb.read_header(id).map_err(|error| of_store(&error))?;
        if size > LARGEST_FILE_BYTES {
            return Err(refused("is larger than 64 MiB"));
        }
        self.bytes += size;
        if self.bytes > MOST_BYTES {
            return Err(refused("is more than a config may have in all files (1 GiB)"));
        }
        let blob = self.repository.find_blob(id).map_err(|error| of_store(&error))?;
        Ok(blob.content().to_vec())
    }
}

fn write(path: &Path, content: &[u8], entry: &TreeEntry<'_>) -> io::Result<()> {
    let mode = if entry.filemode_raw() == EXECUTABLE { 0o755 } else { 0o644 };
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn link(target: &Path, path: &Path) -> io::Result<()> {
    Ok(symlinkat(target, AT_FDCWD, path)?)
}

/// Whether an entry can be made without ending up elsewhere, or where git keeps its own.
fn is_name(name: &OsStr) -> bool {
    let mut parts = Path::new(name).components();
    let is_one =
        matches!((parts.next(), parts.next()), (Some(Component::Normal(it)), None) if it == name);
    is_one && !name.eq_ignore_ascii_case(".git") && !name.as_bytes().contains(&0)
}

/// Whether a link in a directory `depth` levels below the top leads to something below the top,
/// whatever other links are on the way: it goes up first, no further than to the top, and then
/// only down.
fn stays_inside(target: &Path, depth: usize) -> bool {
    let parts: Vec<Component<'_>> = target.components().collect();
    let up = parts.iter().take_while(|part| matches!(part, Component::ParentDir)).count();
    let down = &parts[up..];
    let only_down = down.iter().all(|it| matches!(it, Component::Normal(_) | Component::CurDir));
    !parts.is_empty() && up <= depth && only_down
}

/// Removes a directory with all that is in it, where it is there.
///
/// # Errors
/// Those of the disk.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_chain_of_links_leads_out() {
        for (target, depth, is_inside) in [
            ("files/a", 0, true),
            ("../files/a", 1, true),
            ("./../../a", 2, false),
            ("../../a", 2, true),
            ("../a", 0, false),
            ("/etc/passwd", 3, false),
            // `deep` may be a link to the top itself.
            ("deep/..", 0, false),
            ("deep/../../etc", 5, false),
            ("", 1, false),
        ] {
            assert_eq!(stays_inside(Path::new(target), depth), is_inside, "{target}");
        }
    }

    #[test]
    fn an_entry_is_made_where_it_is_written_or_not_at_all() {
        for (name, is_fine) in [
            ("a.yml", true),
            (".gitignore", true),
            ("", false),
            (".", false),
            ("..", false),
            ("a/b", false),
            (".git", false),
            (".GIT", false),
            ("a/", false),
        ] {
            assert_eq!(is_name(OsStr::new(name)), is_fine, "{name}");
        }
    }
}
