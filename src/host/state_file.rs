//! Files in which the agent keeps what it has to know after a restart.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Puts `bytes` in the place of all that `path` holds, and makes the directories to it. After a
/// crash there is the old or the new, whole; once this returns it is the new. Nobody else may read
/// it. Gives the file, at its end, to append to.
///
/// # Errors
/// Those of the disk; the old content is still there then.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let (file, directory) = put(path, bytes, File::sync_all)?;
    directory.sync_all()?;
    Ok(file)
}

/// The same, but for a crash of the host: that may take the new, as it takes what else was written
/// lately.
///
/// # Errors
/// Those of the disk; the old content is still there then.
pub fn replace_in_passing(path: &Path, bytes: &[u8]) -> io::Result<File> {
    Ok(put(path, bytes, |_| Ok(()))?.0)
}

/// Gives the file and its directory.
fn put(
    path: &Path,
    bytes: &[u8],
    settle: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<(File, File)> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let beside = path.with_added_extension("new");
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    settle(&file)?;
    fs::rename(&beside, path)?;
    Ok((file, File::open(directory)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_replaced_is_new_as_a_whole_for_this_user_alone_and_can_be_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/state.json");
        replace(&path, b"old, and longer").unwrap();
        let mut file = replace(&path, b"new").unwrap();
        file.write_all(b" end").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new end");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1, "no litter");
    }
}
