//! What is in an archive: tar (plain or packed with gzip, bzip2, xz or zstd) and zip. `pack` makes them.

use super::Failure;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::path::{Component, Path, PathBuf};

/// What an archive may unpack to: beyond it is a bomb.
const MOST_BYTES: u64 = 8 << 30;

/// One thing in an archive.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// Where it goes, below the destination.
    pub(super) path: PathBuf,
    pub(super) body: Body,
    /// Permission bits, where the archive has them.
    pub(super) mode: Option<u32>,
    /// Name and number of its owner.
    pub(super) owner: Option<(String, u32)>,
    /// Name and number of its group.
    pub(super) group: Option<(String, u32)>,
    /// When it was last written, in seconds since the epoch.
    pub(super) modified: Option<i64>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Body {
    File(Bytes),
    Directory,
    /// Where it leads, as written.
    Link(PathBuf),
    /// A further name of this file of the archive.
    HardLink(PathBuf),
}

/// The archive's entries, and what kind of archive it is. All names are checked: none is absolute
/// or leads out, and none goes through a link of the archive.
pub(super) fn read(archive: &Bytes) -> Result<(Vec<Entry>, &'static str), Failure> {
    let (entries, kind) = if archive.starts_with(b"PK") {
        (zip_entries(archive)?, "ZipArchive")
    } else {
        let (reader, kind) = unpacked(archive)?;
        (tar_entries(reader)?, kind)
    };
    let mut links = BTreeSet::new();
    for entry in &entries {
        let through = entry.path.ancestors().skip(1).find(|parent| links.contains(*parent));
        if let Some(link) = through {
            return Err(refuse(
                &entry.path,
                &format!("goes through the link `{}`", link.display()),
            ));
        }
        if let Body::Link(_) = entry.body {
            links.insert(entry.path.as_path());
        }
    }
    Ok((entries, kind))
}

fn refuse(path: &Path, why: &str) -> Failure {
    let failure = Failure::new(format!("the archive is refused: `{}` {why}", path.display()));
    Failure { hint: Some("nothing of it was unpacked".into()), ..failure }
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("the archive cannot be read: {error}"))
}

/// What was packed into one file, without an archive around it.
pub(super) fn read_packed(packed: &Bytes) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    unpacked(packed)?.0.take(MOST_BYTES).read_to_end(&mut content).map_err(broken)?;
    Ok(content)
}

/// The tar in an archive.
fn unpacked(archive: &Bytes) -> Result<(Box<dyn Read>, &'static str), Failure> {
    let packed = Cursor::new(archive.clone());
    Ok(if archive.starts_with(b"\x1f\x8b") {
        (Box::new(flate2::read::MultiGzDecoder::new(packed)), "TgzArchive")
    } else if archive.starts_with(b"\x28\xb5\x2f\xfd") {
        let decoder = zstd::stream::read::Decoder::new(packed).map_err(broken)?;
        (Box::new(decoder), "TarZstdArchive")
    } else if archive.starts_with(b"BZh") {
        (Box::new(bzip2_rs::DecoderReader::new(packed)), "TarBzipArchive")
    } else if archive.starts_with(b"\xfd7zXZ\0") {
        (Box::new(lzma_rust2::XzReader::new(packed, true)), "TarXzArchive")
    } else {
        (Box::new(packed), "TarArchive")
    })
}

/// A name below the destination; none for the destination itself.
fn inside(name: &Path) -> Result<Option<PathBuf>, Failure> {
    let mut path = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(refuse(name, "leads out of it")),
            Component::RootDir | Component::Prefix(_) => {
                return Err(refuse(name, "is an absolute path"));
            }
        }
    }
    Ok((!path.as_os_str().is_empty()).then_some(path))
}

fn tar_entries(reader: Box<dyn Read>) -> Result<Vec<Entry>, Failure> {
    use tar::EntryType as Type;
    let mut archive = tar::Archive::new(reader.take(MOST_BYTES + (64 << 20)));
    let mut found = Vec::new();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        let kind = entry.header().entry_type();
        if matches!(kind, Type::XGlobalHeader) {
            continue;
        }
        let Some(path) = inside(&name)? else { continue };
        let target = |entry: &tar::Entry<'_, _>| match entry.link_name().map_err(broken)? {
            Some(target) => Ok(target.into_owned()),
            None => Err(refuse(&name, "is a link to nothing")),
        };
        let body = match kind {
            Type::Regular | Type::Continuous | Type::GNUSparse => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).map_err(broken)?;
                Body::File(content.into())
            }
            Type::Directory => Body::Directory,
            Type::Symlink => Body::Link(target(&entry)?),
            Type::Link => match inside(&target(&entry)?)? {
                Some(target) => Body::HardLink(target),
                None => return Err(refuse(&name, "is a hard link to a directory")),
            },
            Type::Char | Type::Block => return Err(refuse(&name, "is a device")),
            Type::Fifo => return Err(refuse(&name, "is a named pipe")),
            _ => return Err(refuse(&name, "is of a kind that is not known")),
        };
        let header = entry.header();
        let id = |id: std::io::Result<u64>| id.ok().and_then(|id| u32::try_from(id).ok());
        let text = |name: Result<Option<&str>, _>| -> String {
            name.ok().flatten().unwrap_or_default().to_owned()
        };
        found.push(Entry {
            path,
            body,
            mode: header.mode().ok().map(|mode| mode & 0o7777),
            owner: id(header.uid()).map(|uid| (text(header.username()), uid)),
            group: id(header.gid()).map(|gid| (text(header.groupname()), gid)),
            modified: header.mtime().ok().and_then(|time| i64::try_from(time).ok()),
        });
    }
    Ok(found)
}

fn zip_entries(archive: &Bytes) -> Result<Vec<Entry>, Failure> {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive.clone())).map_err(broken)?;
    let (mut found, mut total) = (Vec::new(), 0_u64);
    for at in 0..zip.len() {
        let file = zip.by_index(at).map_err(broken)?;
        let name = PathBuf::from(file.name().map_err(broken)?.into_owned());
        let Some(path) = inside(&name)? else { continue };
        let mode = file.unix_mode();
        let is_link = mode.is_some_and(|mode| mode & 0o170_000 == 0o120_000);
        let special = mode.map(|mode| mode & 0o170_000).filter(|kind| *kind != 0);
        if special.is_some_and(|kind| ![0o100_000, 0o040_000, 0o120_000].contains(&kind)) {
            return Err(refuse(&name, "is a device or a pipe"));
        }
        let is_directory = file.is_dir();
        let mut content = Vec::new();
        if !is_directory {
            let left = MOST_BYTES.saturating_sub(total);
            file.take(left + 1).read_to_end(&mut content).map_err(broken)?;
            total += content.len() as u64;
            if total > MOST_BYTES {
                return Err(broken("it unpacks to more than 8 GiB"));
            }
        }
        let body = match (is_directory, is_link) {
            (true, _) => Body::Directory,
            (false, true) => {
                Body::Link(PathBuf::from(String::from_utf8_lossy(&content).into_owned()))
            }
            (false, false) => Body::File(content.into()),
        };
        let mode = mode.map(|mode| mode & 0o7777).filter(|mode| *mode != 0);
        found.push(Entry { path, body, mode, owner: None, group: None, modified: None });
    }
    Ok(found)
}
