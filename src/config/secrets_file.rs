//! A secrets file: who may read it, and what is in it. Nothing that it says shows in an error.

use super::read::{Dialect, Format, LARGEST_FILE_BYTES, read_text};
use crate::event::fault::Diagnostic;
use crate::event::secret::SecretText;
use crate::event::tree::{Node, SourceFile, Value};
use nix::unistd::geteuid;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use zeroize::{Zeroize as _, Zeroizing};

/// Permission bits that nobody but the owner may have on a secrets file.
const OTHERS: u32 = 0o077;

/// Permission bits that nobody but the owner may have on an encrypted file.
const WRITERS: u32 = 0o022;

/// Permission bits that not everybody may have on a credential. systemd gives a service's user
/// access to them by its group, or by an access list that shows as the group's.
const OF_ALL: u32 = 0o007;

/// A secret's name and value.
pub(super) type Named = (String, SecretText);

/// The secrets in one file; none where there is no file.
pub(super) fn read(path: &Path) -> Result<Vec<Named>, Box<Diagnostic>> {
    let name = path.display();
    let plain = |message: String| Box::new(Diagnostic::new(message, None));
    let unreadable = |error: io::Error| plain(format!("`{name}` cannot be read: {error}"));
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(unreadable(error)),
    };
    let metadata = file.metadata().map_err(unreadable)?;
    check(path, &metadata, OTHERS)?;
    let mut bytes = room(&metadata);
    Read::by_ref(&mut file).take(LARGEST_FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Err(plain(format!("`{name}` is not UTF-8")));
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if path.extension().is_some_and(|ending| ending == "env") {
        from_env(path, text)
    } else {
        from_yaml(path, text)
    }
}

/// Room for a whole file and a little more: where it had to grow, or to look whether it has to, a
/// part of what was read would stay elsewhere in memory.
fn room(metadata: &Metadata) -> Zeroizing<Vec<u8>> {
    let bytes = metadata.len().min(LARGEST_FILE_BYTES) + 64;
    Zeroizing::new(Vec::with_capacity(usize::try_from(bytes).unwrap_or_default()))
}

/// Refuses a file that others have any access to; one that is not there too.
pub(super) fn refuse_others(path: &Path) -> Result<(), Diagnostic> {
    refuse(path, OTHERS)
}

/// Refuses a file that others can change. It may be read by them: it is encrypted.
pub(super) fn refuse_writers(path: &Path) -> Result<(), Diagnostic> {
    refuse(path, WRITERS)
}

fn refuse(path: &Path, bits: u32) -> Result<(), Diagnostic> {
    let metadata = path.metadata().map_err(|error| {
        Diagnostic::new(format!("`{}` cannot be read: {error}", path.display()), None)
    })?;
    check(path, &metadata, bits).map_err(|fault| *fault)
}

/// Refuses what is no file of a moderate size that belongs to this user or root, and on which
/// nobody else has one of the permissions `bits`.
fn check(path: &Path, metadata: &Metadata, bits: u32) -> Result<(), Box<Diagnostic>> {
    let name = path.display();
    if !metadata.is_file() || metadata.len() > LARGEST_FILE_BYTES {
        let message = format!("`{name}` is no regular file of at most 1 MiB");
        return Err(Box::new(Diagnostic::new(message, None)));
    }
    if metadata.mode() & bits != 0 {
        let message =
            format!("others have access to `{name}` (mode {:04o})", metadata.mode() & 0o7777);
        return Err(Box::new(Diagnostic::new(message, None).hint(format!("chmod 600 {name}"))));
    }
    let owner = metadata.uid();
    if owner != 0 && owner != geteuid().as_raw() {
        let message = format!("`{name}` belongs to another user (uid {owner})");
        return Err(Box::new(Diagnostic::new(message, None).hint("its owner must be you or root")));
    }
    Ok(())
}

/// The secret in a file that holds nothing else, as systemd's credentials are; none where there is
/// no file. The line end at its end, which editors leave there, is no part of it.
pub(super) fn credential(path: &Path) -> Result<Option<SecretText>, Box<Diagnostic>> {
    let name = path.display();
    let plain = |why: String| Box::new(Diagnostic::new(format!("`{name}` {why}"), None));
    let metadata = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| plain(format!("cannot be read: {error}")))?,
    };
    check(path, &metadata, WRITERS | OF_ALL)?;
    let mut bytes = room(&metadata);
    let file = File::open(path).map_err(|error| plain(format!("cannot be read: {error}")))?;
    let read = file.take(LARGEST_FILE_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| plain(format!("cannot be read: {error}")))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| plain("is not UTF-8".into()))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(Some(SecretText::new(text.to_owned())))
}

/// Lines `NAME=value`, with `export`, quotes and comments as a shell has them.
pub(super) fn from_env(path: &Path, text: &str) -> Result<Vec<Named>, Box<Diagnostic>> {
    let mut secrets = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let Some((name, value)) = line.split_once('=').filter(|(name, _)| is_name(name)) else {
            // Without the line's text, which may be a secret.
            let message = format!("{}:{}: not of the form NAME=value", path.display(), index + 1);
            return Err(Box::new(Diagnostic::new(message, None)));
        };
        secrets.push((name.to_owned(), SecretText::new(unquote(value).to_owned())));
    }
    Ok(secrets)
}

pub(super) fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn unquote(value: &str) -> &str {
    let value = value.trim();
    let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value)
}

/// One mapping from names to text.
pub(super) fn from_yaml(path: &Path, text: &str) -> Result<Vec<Named>, Box<Diagnostic>> {
    from_mapping(path, text, Format::Yaml)
}

/// The same in JSON.
pub(super) fn from_json(path: &Path, text: &str) -> Result<Vec<Named>, Box<Diagnostic>> {
    from_mapping(path, text, Format::Json)
}

/// Places in it are given without the text around them.
fn from_mapping(path: &Path, text: &str, format: Format) -> Result<Vec<Named>, Box<Diagnostic>> {
    let mut file = Arc::new(SourceFile::new(path.into(), text.to_owned()));
    let read = named(path, &file, format);
    // Whoever has a place in it has let go of it by now.
    if let Some(file) = Arc::get_mut(&mut file) {
        file.text.zeroize();
    }
    read
}

fn named(
    path: &Path,
    file: &Arc<SourceFile>,
    format: Format,
) -> Result<Vec<Named>, Box<Diagnostic>> {
    let blind = |fault: &Diagnostic| Box::new(Diagnostic::new(fault.to_string(), None));
    let mut tree = read_text(file, format, Dialect::Yaml12)
        .map_err(|faults| faults.first().map_or_else(|| blind(&unnamed(path)), blind))?;
    let Some(entries) = tree.as_map() else { return Err(blind(&unnamed(path))) };
    let secret = |name: &str, node: &Node| match node.scalar_text() {
        Some(text) => Ok((name.to_owned(), SecretText::new(text.to_owned()))),
        None => {
            let message = format!("`{name}` takes text; found {}", node.kind());
            Err(blind(&Diagnostic::new(message, node.span.clone())))
        }
    };
    let secrets = entries.iter().map(|(key, node)| secret(&key.name, node)).collect();
    wipe(&mut tree);
    secrets
}

/// Overwrites the texts of a tree that nobody else has.
fn wipe(node: &mut Node) {
    match &mut node.value {
        Value::Bool { text, .. }
        | Value::Int { text, .. }
        | Value::Float { text, .. }
        | Value::String(text)
        | Value::Unsafe(text) => {
            if let Some(text) = Arc::get_mut(text) {
                text.zeroize();
            }
        }
        Value::List(nodes) => nodes.iter_mut().for_each(wipe),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, node)| wipe(node)),
        Value::Null => {}
    }
}

fn unnamed(path: &Path) -> Diagnostic {
    let message = format!("`{}` is no mapping of names to values", path.display());
    Diagnostic::new(message, None)
}
