//! What `stat` and `find` tell of a file, under Ansible's names.

use super::Failure;
use crate::event::hex::hex;
use crate::host::machine::Machine;
use crate::host::machine::meta::{Kind, Meta};
use crate::sinks::apply::params::Kind as ParamKind;
use minijinja::Value;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

/// The ways to sum up a file's content.
pub(super) const ALGORITHMS: ParamKind =
    ParamKind::OneOf(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]);

/// All that the inode says.
pub(super) fn of_inode(found: &Meta, machine: &Machine) -> Vec<(&'static str, Value)> {
    let is = |kind| Value::from(found.kind == kind);
    let bit = |bit: u32| Value::from(found.mode & bit != 0);
    let is_device = |char_device| {
        Value::from(found.kind == Kind::Device && found.is_char_device == char_device)
    };
    vec![
        ("mode", format!("{:04o}", found.mode).into()),
        ("isdir", is(Kind::Directory)),
        ("ischr", is_device(true)),
        ("isblk", is_device(false)),
        ("isreg", is(Kind::File)),
        ("isfifo", is(Kind::Fifo)),
        ("islnk", is(Kind::Link)),
        ("issock", is(Kind::Socket)),
        ("uid", found.uid.into()),
        ("gid", found.gid.into()),
        ("size", found.size_bytes.into()),
        ("inode", found.inode.1.into()),
        ("dev", found.inode.0.into()),
        ("nlink", found.links.into()),
        ("atime", found.accessed.as_seconds().into()),
        ("mtime", found.modified.as_seconds().into()),
        ("ctime", found.changed.as_seconds().into()),
        ("wusr", bit(0o200)),
        ("rusr", bit(0o400)),
        ("xusr", bit(0o100)),
        ("wgrp", bit(0o020)),
        ("rgrp", bit(0o040)),
        ("xgrp", bit(0o010)),
        ("woth", bit(0o002)),
        ("roth", bit(0o004)),
        ("xoth", bit(0o001)),
        ("isuid", bit(0o4000)),
        ("isgid", bit(0o2000)),
        ("pw_name", machine.user_name(found.uid).into()),
        ("gr_name", machine.group_name(found.gid).into()),
    ]
}

/// The sum of the content of the file at `path`, in hex, read piece by piece.
pub(super) fn sum(machine: &Machine, path: &Path, algorithm: &str) -> Result<String, Failure> {
    let reader = BufReader::with_capacity(64 << 10, machine.reader(path)?);
    let summed = match algorithm {
        "md5" => md5_of(reader),
        "sha224" => digest::<Sha224>(reader),
        "sha256" => digest::<Sha256>(reader),
        "sha384" => digest::<Sha384>(reader),
        "sha512" => digest::<Sha512>(reader),
        _ => digest::<Sha1>(reader),
    };
    summed.map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

/// The sum of `content`, in hex.
pub(super) fn sum_of(content: &[u8], algorithm: &str) -> String {
    let summed = match algorithm {
        "md5" => md5_of(content),
        "sha224" => digest::<Sha224>(content),
        "sha256" => digest::<Sha256>(content),
        "sha384" => digest::<Sha384>(content),
        "sha512" => digest::<Sha512>(content),
        _ => digest::<Sha1>(content),
    };
    summed.unwrap_or_default() // memory is always readable
}

fn digest<D: Digest>(reader: impl BufRead) -> std::io::Result<String> {
    let mut digest = D::new();
    each_piece(reader, |piece| digest.update(piece))?;
    Ok(hex(&digest.finalize()))
}

fn md5_of(reader: impl BufRead) -> std::io::Result<String> {
    let mut digest = md5::Context::new();
    each_piece(reader, |piece| digest.consume(piece))?;
    Ok(hex(&*digest.finalize()))
}

fn each_piece(mut reader: impl BufRead, mut take: impl FnMut(&[u8])) -> std::io::Result<()> {
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok(());
        }
        take(piece);
        let length = piece.len();
        reader.consume(length);
    }
}

/// A guess at the type of a file from its beginning, and at the encoding of its text.
pub(super) fn mime(
    machine: &Machine,
    path: &Path,
    found: &Meta,
) -> Result<(&'static str, &'static str), Failure> {
    Ok(match found.kind {
        Kind::Directory => ("inode/directory", "binary"),
        Kind::Link => ("inode/symlink", "binary"),
        Kind::Fifo => ("inode/fifo", "binary"),
        Kind::Socket => ("inode/socket", "binary"),
        Kind::Device if found.is_char_device => ("inode/chardevice", "binary"),
        Kind::Device => ("inode/blockdevice", "binary"),
        Kind::File if found.size_bytes == 0 => ("inode/x-empty", "binary"),
        Kind::File => {
            let mut start = Vec::new();
            let read = machine.reader(path)?.take(64 << 10).read_to_end(&mut start);
            if read.is_err() {
                return Ok(("unknown", "unknown"));
            }
            of_content(&start)
        }
    })
}

fn of_content(start: &[u8]) -> (&'static str, &'static str) {
    const MAGIC: &[(&[u8], &str)] = &[
        (b"\x7fELF", "application/x-executable"),
        (b"\x1f\x8b", "application/gzip"),
        (b"BZh", "application/x-bzip2"),
        (b"\xfd7zXZ\0", "application/x-xz"),
        (b"\x28\xb5\x2f\xfd", "application/zstd"),
        (b"PK\x03\x04", "application/zip"),
        (b"%PDF-", "application/pdf"),
        (b"\x89PNG", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
    ];
    if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)) {
        return (name, "binary");
    }
    let valid = match std::str::from_utf8(start) {
        Ok(_) => true,
        // The last character may have been cut off.
        Err(error) => error.error_len().is_none(),
    };
    match (valid && !start.contains(&0), start.is_ascii()) {
        (false, _) => ("application/octet-stream", "binary"),
        (true, _) if start.starts_with(b"#!/bin/sh") || start.starts_with(b"#!/bin/bash") => {
            ("text/x-shellscript", if start.is_ascii() { "us-ascii" } else { "utf-8" })
        }
        (true, true) => ("text/plain", "us-ascii"),
        (true, false) => ("text/plain", "utf-8"),
    }
}
