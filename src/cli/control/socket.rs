//! The socket itself: where it is, who may use it, and whose it is.

use nix::fcntl::OFlag;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
    PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The socket's name in the data directory.
const NAME: &str = "control.sock";

/// Its owner alone may ask, and root.
const MODE: u32 = 0o600;

/// The longest path that an address of a socket holds, in bytes (`sun_path` in unix(7), without the
/// zero at its end).
const LONGEST_ADDRESS: usize = 107;

/// Who else could write there could put a socket of his own in its place.
const LOOSE: u32 = 0o022;

/// Where the agent with this data directory listens.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

/// Speaks to whoever listens at `path`.
///
/// # Errors
/// Nobody does, or not to this user.
pub(super) fn connect(path: &Path) -> io::Result<UnixStream> {
    at(path, |address| UnixStream::connect(address))
}

/// Does something by an address that leads to `path`, however long that is: the kernel's name of an
/// open directory is short.
fn at<T>(path: &Path, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (true, Some(directory), Some(name)) =
        (path.as_os_str().len() > LONGEST_ADDRESS, path.parent(), path.file_name())
    else {
        return work(path);
    };
    let only_the_way = OFlag::O_PATH.union(OFlag::O_DIRECTORY);
    let directory = File::options().read(true).custom_flags(only_the_way.bits()).open(directory)?;
    let opened = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    work(&opened.join(name))
}

/// The file that stands for the socket, taken away with this value.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have put it away already.
        fs::remove_file(&self.0).ok();
    }
}

/// Listens in this data directory, which is made where it is missing. What a dead agent has left
/// there is replaced, a socket that is in use is not.
///
/// # Errors
/// Where another agent listens, the directory is not safe, or the disk says no.
pub(super) fn listen(data_dir: &Path) -> io::Result<(UnixListener, SocketFile)> {
    if !data_dir.exists() {
        DirBuilder::new().recursive(true).mode(0o755).create(data_dir)?;
    }
    let mode = fs::metadata(data_dir)?.mode();
    if mode & LOOSE != 0 {
        let message = format!("others may write to its directory (mode {:04o})", mode & 0o7777);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    let path = path(data_dir);
    match fs::symlink_metadata(&path) {
        Ok(found) if !found.file_type().is_socket() => {
            let message = "there is a file of this name, and it is no socket";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(_) if connect(&path).is_ok() => {
            let message = "another agent with the same `data_dir` listens on it";
            return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
        }
        Ok(_) => fs::remove_file(&path)?,
        Err(_) => {}
    }
    // Under another name, until it has its rights: between the two steps anybody could connect.
    let beside = path.with_added_extension(std::process::id().to_string());
    fs::remove_file(&beside).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let listener = at(&beside, |address| UnixListener::bind(address))?;
    let placed = fs::set_permissions(&beside, Permissions::from_mode(MODE))
        .and_then(|()| fs::rename(&beside, &path));
    if let Err(error) = placed {
        fs::remove_file(&beside).ok();
        return Err(error);
    }
    listener.set_nonblocking(true)?;
    Ok((listener, SocketFile(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_agent_has_left_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("made/here");
        let (listener, file) = listen(&data_dir).unwrap();
        let mode = fs::metadata(path(&data_dir)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = listen(&data_dir).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop((listener, file));
        drop(UnixListener::bind(path(&data_dir)).unwrap());
        assert!(path(&data_dir).exists(), "as after a crash");
        let again = listen(&data_dir).unwrap();
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "no litter");
        drop(again);
        assert!(!path(&data_dir).exists());
    }

    #[test]
    fn a_directory_with_a_long_path_has_a_socket_too() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("long".repeat(50));
        let (_listener, file) = listen(&data_dir).unwrap();
        assert!(connect(&path(&data_dir)).is_ok());
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "no litter");
        drop(file);
        let kind = connect(&path(&data_dir)).unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::NotFound);
    }

    #[test]
    fn neither_a_strangers_file_nor_a_loose_directory_is_used() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(path(dir.path()), "mine").unwrap();
        assert!(listen(dir.path()).is_err());
        assert_eq!(fs::read(path(dir.path())).unwrap(), b"mine");
        fs::remove_file(path(dir.path())).unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        let told = listen(dir.path()).err().unwrap().to_string();
        assert!(told.contains("others may write"), "{told}");
    }
}
