//! Makes archives: tar (plain or packed with gzip, bzip2, xz or zstd) and zip. The same entries
//! give the same bytes.

use super::Failure;
use super::unpack::{Body, Entry};
use chrono::{Datelike as _, TimeZone as _, Timelike as _};
use std::io::{BufWriter, Cursor, Error, Write as _};
use zip::write::SimpleFileOptions;

/// How an archive, or a file on its own, is packed.
pub(super) const FORMATS: &[&str] = &["bz2", "gz", "tar", "xz", "zip", "zst"];

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("the archive cannot be made: {error}"))
}

/// An archive of these entries.
pub(super) fn archive(entries: &[Entry], format: &str) -> Result<Vec<u8>, Failure> {
    match format {
        "zip" => zip(entries),
        "tar" => tar(entries).map_err(broken),
        format => compressed(&tar(entries).map_err(broken)?, format),
    }
}

/// One file's content, packed.
pub(super) fn compressed(content: &[u8], format: &str) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let done = match format {
        "bz2" => banzai::encode(content, BufWriter::new(&mut out), 9).map(drop),
        "xz" => {
            let options = lzma_rust2::XzOptions::with_preset(6);
            lzma_rust2::XzWriter::new(&mut out, options)
                .and_then(|mut writer| writer.write_all(content).and_then(|()| writer.finish()))
                .map(drop)
        }
        "zst" => zstd::stream::copy_encode(content, &mut out, 3),
        _ => {
            // Neither a name nor a time in its header, so that the same is the same.
            let mut writer =
                flate2::GzBuilder::new().write(&mut out, flate2::Compression::default());
            writer.write_all(content).and_then(|()| writer.finish()).map(drop)
        }
    };
    done.map_err(broken)?;
    Ok(out)
}

fn tar(entries: &[Entry]) -> Result<Vec<u8>, Error> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(entry.mode.unwrap_or(0o644));
        header.set_mtime(entry.modified.and_then(|time| u64::try_from(time).ok()).unwrap_or(0));
        if let Some((name, uid)) = &entry.owner {
            header.set_uid(u64::from(*uid));
            header.set_username(name)?;
        }
        if let Some((name, gid)) = &entry.group {
            header.set_gid(u64::from(*gid));
            header.set_groupname(name)?;
        }
        match &entry.body {
            Body::File(content) => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, &entry.path, &content[..])?;
            }
            Body::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                builder.append_data(&mut header, &entry.path, std::io::empty())?;
            }
            Body::Link(target) | Body::HardLink(target) => {
                let is_hard = matches!(entry.body, Body::HardLink(_));
                let kind = if is_hard { tar::EntryType::Link } else { tar::EntryType::Symlink };
                header.set_entry_type(kind);
                header.set_size(0);
                builder.append_link(&mut header, &entry.path, target)?;
            }
        }
    }
    builder.into_inner()
}

fn zip(entries: &[Entry]) -> Result<Vec<u8>, Failure> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let name = entry.path.display();
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .unix_permissions(entry.mode.unwrap_or(0o644))
            .last_modified_time(zip_time(entry.modified.unwrap_or(0)));
        match &entry.body {
            Body::File(content) => {
                let options = options.large_file(content.len() as u64 >= u64::from(u32::MAX));
                writer.start_file(name, options).map_err(broken)?;
                writer.write_all(content).map_err(broken)?;
            }
            Body::Directory => writer.add_directory(name.to_string(), options).map_err(broken)?,
            Body::Link(target) | Body::HardLink(target) => {
                writer.add_symlink(name, target.display(), options).map_err(broken)?;
            }
        }
    }
    Ok(writer.finish().map_err(broken)?.into_inner())
}

/// A time as zip keeps it: of the host's time zone, from 1980 on.
fn zip_time(seconds: i64) -> zip::DateTime {
    let Some(time) = chrono::Local.timestamp_opt(seconds, 0).earliest() else {
        return zip::DateTime::default();
    };
    let small = |number: u32| u8::try_from(number).unwrap_or(0);
    let year = u16::try_from(time.year()).unwrap_or(0);
    zip::DateTime::from_date_and_time(
        year,
        small(time.month()),
        small(time.day()),
        small(time.hour()),
        small(time.minute()),
        small(time.second()),
    )
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::unpack::{read, read_packed};
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn entry(name: &str, body: Body) -> Entry {
        let id = |name: &str| Some((name.to_owned(), 7));
        Entry {
            path: name.into(),
            body,
            mode: Some(0o640),
            owner: id("o"),
            group: id("g"),
            modified: Some(1_600_000_000),
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_as_it_was_in_every_format() {
        let long = format!("{}/f", "d".repeat(150));
        let entries = [
            entry("d", Body::Directory),
            entry("d/f", Body::File(Bytes::from_static(b"text\n"))),
            entry(&long, Body::File(Bytes::from(vec![b'x'; 300_000]))),
            entry("d/l", Body::Link("f".into())),
        ];
        for format in FORMATS {
            let archive = archive(&entries, format).unwrap();
            assert_eq!(archive, super::archive(&entries, format).unwrap(), "{format}");
            let (found, _) = read(&archive.into()).unwrap();
            for (found, entry) in found.iter().zip(&entries) {
                assert_eq!((&found.path, &found.body), (&entry.path, &entry.body), "{format}");
                assert!(found.mode == entry.mode || matches!(entry.body, Body::Link(_)));
            }
            assert_eq!(found.len(), entries.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_content_comes_back(
            piece in prop::collection::vec(any::<u8>(), 0..2000),
            times in 1_usize..60,
        ) {
            let content = piece.repeat(times);
            for format in ["bz2", "gz", "xz", "zst"] {
                let packed = compressed(&content, format).unwrap();
                prop_assert_eq!(&read_packed(&packed.into()).unwrap(), &content, "{}", format);
            }
        }
    }
}
