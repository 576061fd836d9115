//! Reads one config file, in whichever of the three formats its name says, into a tree.

use super::{json, toml, yaml};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Node, SourceFile, Span, Value};
pub use crate::event::yaml_scalar::Dialect;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// The largest file that is read. Configs are written by people; a bigger file is a mistake.
pub const LARGEST_FILE_BYTES: u64 = 1 << 20;
/// How deep lists and mappings may stand in each other.
pub(super) const DEEPEST: usize = 64;

/// A file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.yml`, `.yaml`.
    Yaml,
    /// `.toml`.
    Toml,
    /// `.json`.
    Json,
}

impl Format {
    /// The format that the file's extension names, if it is one of ours.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "yml" | "yaml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Reads the file at `path`; its extension says the format. An empty YAML or TOML file is an
/// empty mapping.
///
/// # Errors
/// A file that is not there, not readable, no regular file, larger than [`LARGEST_FILE_BYTES`]
/// (refused before it is read), not UTF-8, or not in its format.
pub fn read_file(path: &Path, dialect: Dialect) -> Result<Node, Vec<Diagnostic>> {
    let file = read_source(path).map_err(|fault| vec![*fault])?;
    let format = Format::of(path).ok_or_else(|| {
        let message = format!("`{}` has none of the endings of a config file", path.display());
        vec![Diagnostic::new(message, None).hint("name it .yml, .yaml, .toml or .json")]
    })?;
    read_text(&file, format, dialect)
}

/// Reads a text that is at hand already.
///
/// # Errors
/// All that is wrong with it. Errors of syntax come alone, since they hide what follows.
pub fn read_text(
    file: &Arc<SourceFile>,
    format: Format,
    dialect: Dialect,
) -> Result<Node, Vec<Diagnostic>> {
    if let Some(at) = memchr::memchr(0, file.text.as_bytes()) {
        let message = "a NUL byte, which no text has";
        return Err(vec![Diagnostic::new(message, Some(span(file, at, at + 1)))]);
    }
    match format {
        Format::Yaml => yaml::read(file, dialect),
        Format::Toml => toml::read(file),
        Format::Json => json::read(file),
    }
}

/// The text of the file at `path`, without a byte order mark.
///
/// # Errors
/// As for [`read_file`], except for those of the format.
pub fn read_source(path: &Path) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    let name = path.display();
    let plain = |message: String| Box::new(Diagnostic::new(message, None));
    let unreadable =
        |error: io::Error| plain(format!("`{name}` cannot be read: {}", reason(&error)));
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(plain(format!("`{name}` is a directory; a file is expected here")));
    }
    if !metadata.is_file() {
        return Err(plain(format!("`{name}` is no regular file")));
    }
    let too_large = |bytes: u64| {
        let message = format!("`{name}` has {bytes} bytes; a config file has at most 1 MiB");
        Box::new(Diagnostic::new(message, None).hint("split it: a folder of files counts as one"))
    };
    if metadata.len() > LARGEST_FILE_BYTES {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    // The size is only a claim: /proc says 0, and a file may grow.
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    let text = String::from_utf8(bytes).map_err(|error| Box::new(not_utf8(path, &error)))?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok(Arc::new(SourceFile::new(path.into(), text)))
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Diagnostic {
    let at = error.utf8_error().valid_up_to();
    let byte = error.as_bytes().get(at).copied().unwrap_or_default();
    // Up to the bad byte the lossy text is the file's own, so the place is right.
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let file = Arc::new(SourceFile::new(path.into(), text));
    let message = format!("not UTF-8: byte 0x{byte:02X} at offset {at}");
    Diagnostic::new(message, Some(span(&file, at, at + 1))).hint("save the file as UTF-8")
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

pub(super) fn span(file: &Arc<SourceFile>, start: usize, end: usize) -> Span {
    // Parsers complain of the end of the file, too, and of a byte within a character.
    let start = file.text.floor_char_boundary(start);
    let end = end.min(file.text.len()).max(start);
    Span { file: file.clone(), start, end }
}

pub(super) fn empty_mapping(file: &Arc<SourceFile>) -> Node {
    Node { value: Value::Map(Vec::new()), span: Some(span(file, 0, 0)) }
}

/// The same key twice in one mapping.
pub(super) fn duplicate_key(name: &str, second: Option<Span>, first: Option<Span>) -> Diagnostic {
    Diagnostic::new(format!("the key `{name}` is here twice"), second)
        .related(first, "the first one")
}

pub(super) fn too_deep(at: Span) -> Diagnostic {
    let message = format!("more than {DEEPEST} lists and mappings inside each other");
    Diagnostic::new(message, Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn complaint(name: &str, bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let faults = read_file(&path, Dialect::Yaml12).unwrap_err();
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        faults.join("\n").replace(&format!("{}/", dir.path().display()), "")
    }

    #[test]
    fn a_huge_file_is_refused_without_reading_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs.yml");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let faults = read_file(&path, Dialect::Yaml12).unwrap_err();
        assert!(faults[0].message.ends_with("a config file has at most 1 MiB"), "{}", faults[0]);
    }

    #[test]
    fn text_in_another_encoding_is_refused_with_its_place() {
        insta::assert_snapshot!(
            complaint("a.yml", b"a: 1\nb: caf\xe9\n"),
            @"a.yml:2:7: not UTF-8: byte 0xE9 at offset 11"
        );
    }

    #[test]
    fn a_nul_byte_is_refused_in_every_format() {
        insta::assert_snapshot!(complaint("a.yml", b"a: \0"), @"a.yml:1:4: a NUL byte, which no text has");
        insta::assert_snapshot!(complaint("a.toml", b"a = 1\n\0"), @"a.toml:2:1: a NUL byte, which no text has");
        insta::assert_snapshot!(complaint("a.json", b"{\0}"), @"a.json:1:2: a NUL byte, which no text has");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("a.yml", "a: 1"), ("a.toml", "a = 1"), ("a.json", "{\"a\": 1}")] {
            let path = dir.path().join(name);
            fs::write(&path, format!("\u{feff}{text}")).unwrap();
            let tree = read_file(&path, Dialect::Yaml12).unwrap();
            assert_eq!(tree.get("a").unwrap().scalar_text(), Some("1"), "{name}");
        }
    }

    #[test]
    fn an_empty_file_says_nothing_except_in_json_where_it_is_no_document() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "\n", "# nothing yet\n", "---\n"] {
            let path = dir.path().join("a.yml");
            fs::write(&path, text).unwrap();
            assert_eq!(read_file(&path, Dialect::Yaml11).unwrap().value, Value::Map(vec![]));
        }
        insta::assert_snapshot!(complaint("a.json", b""), @"a.json:1:1: an empty file is no JSON");
    }

    #[test]
    fn what_is_no_readable_file_is_named_in_plain_words() {
        let dir = tempfile::tempdir().unwrap();
        let messages = |name: &str| {
            let faults = read_file(&dir.path().join(name), Dialect::Yaml12).unwrap_err();
            faults[0].message.replace(&format!("{}/", dir.path().display()), "")
        };
        fs::create_dir(dir.path().join("d.yml")).unwrap();
        fs::write(dir.path().join("a.ini"), "[a]").unwrap();
        insta::assert_snapshot!(messages("none.yml"), @"`none.yml` cannot be read: there is no such file");
        insta::assert_snapshot!(messages("none"), @"`none` cannot be read: there is no such file");
        insta::assert_snapshot!(messages("d.yml"), @"`d.yml` is a directory; a file is expected here");
        insta::assert_snapshot!(messages("a.ini"), @"`a.ini` has none of the endings of a config file");
        let closed = dir.path().join("closed.yml");
        fs::write(&closed, "a: 1").unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        if !nix::unistd::geteuid().is_root() {
            insta::assert_snapshot!(messages("closed.yml"), @"`closed.yml` cannot be read: permission denied");
        }
    }

    #[test]
    fn the_three_formats_give_the_same_tree() {
        let dir = tempfile::tempdir().unwrap();
        let texts = [
            ("a.yml", "a: {b: [1, -2.5, true, 'x\ny']}\nc: \"é\\u00e9\"\n"),
            ("a.toml", "c = \"é\\u00e9\"\n[a]\nb = [1, -2.5, true, \"x y\"]\n"),
            ("a.json", "{\"a\": {\"b\": [1, -2.5, true, \"x y\"]}, \"c\": \"é\\u00e9\"}"),
        ];
        let trees = texts.map(|(name, text)| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            let mut tree = read_file(&path, Dialect::Yaml12).unwrap();
            let c = tree.take("c").unwrap();
            (tree, c)
        });
        assert_eq!(trees[0], trees[1]);
        assert_eq!(trees[0], trees[2]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_whatever_makes_a_reader_panic(
            text in r#"([-:?#&*!|>'"%@{}\[\], \n\r\t<=.~_0-9a-eé\\u]|: |- |\{\{|<<: |!!|\[\[|"""|\u{feff}){0,60}"#
        ) {
            let file = Arc::new(SourceFile::new(Path::new("a").into(), text));
            for (format, dialect) in [
                (Format::Yaml, Dialect::Yaml11),
                (Format::Yaml, Dialect::Yaml12),
                (Format::Toml, Dialect::Yaml12),
                (Format::Json, Dialect::Yaml12),
            ] {
                if let Err(faults) = read_text(&file, format, dialect) {
                    proptest::prop_assert!(!faults.is_empty());
                    // A place outside the text would break the report.
                    let printed: String = faults.iter().map(ToString::to_string).collect();
                    proptest::prop_assert!(!printed.is_empty());
                }
            }
        }
    }
}
