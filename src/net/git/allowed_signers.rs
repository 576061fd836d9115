//! A file of keys that may sign, as ssh-keygen(1) has it under ALLOWED SIGNERS.

use super::sshsig::NAMESPACE;
use crate::host::clock::zone_at;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDateTime;
use globset::Glob;
use std::time::Duration;

/// A key that may sign.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signer {
    /// Whose it is.
    pub(super) principals: String,
    /// The key in SSH's form.
    pub(super) key: Vec<u8>,
    /// Patterns of what it may sign for; anything where there are none.
    namespaces: Option<String>,
    /// From when on, and until when, in seconds since the epoch.
    after: Option<i64>,
    before: Option<i64>,
}

impl Signer {
    /// Whether it may sign for git, something of that time.
    pub(super) fn may_sign(&self, seconds: i64) -> Result<(), String> {
        let names = self.namespaces.as_deref();
        if !names.is_none_or(|names| names.split(',').any(|name| is_like(name, NAMESPACE))) {
            return Err(format!("the key of {} may not sign for git", self.principals));
        }
        if self.after.is_some_and(|after| seconds < after) {
            return Err(format!("the key of {} was not valid yet by then", self.principals));
        }
        if self.before.is_some_and(|before| seconds >= before) {
            return Err(format!("the key of {} was not valid any more by then", self.principals));
        }
        Ok(())
    }
}

fn is_like(pattern: &str, name: &str) -> bool {
    Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(name))
}

/// Reads the whole file. A line that cannot be understood is an error, since nobody would notice
/// that it does not count: its number, and why.
pub(super) fn read(text: &str) -> Result<Vec<Signer>, (usize, String)> {
    let mut signers = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        signers.push(signer(line).map_err(|why| (at + 1, why))?);
    }
    Ok(signers)
}

fn signer(line: &str) -> Result<Signer, String> {
    let mut words = words(line)?.into_iter().peekable();
    let principals = words.next().ok_or("it names nobody")?;
    let mut signer =
        Signer { principals, key: Vec::new(), namespaces: None, after: None, before: None };
    let options = words.next_if(|word| !is_kind_of_key(word));
    for option in options.iter().flat_map(|options| split(options)) {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => signer.namespaces = Some(value.to_owned()),
            "valid-after" => signer.after = Some(time(value)?),
            "valid-before" => signer.before = Some(time(value)?),
            "cert-authority" => return Err("certificates (`cert-authority`) are not known".into()),
            _ => return Err(format!("`{name}` is neither an option nor a kind of key")),
        }
    }
    let kind = words.next().filter(|word| is_kind_of_key(word));
    let kind = kind.ok_or("it has no kind of key such as `ssh-ed25519`")?;
    let key = words.next().ok_or("it has no key")?;
    let key = STANDARD.decode(key).map_err(|_| "its key is not in base64")?;
    let begins_so = key.get(4..).is_some_and(|rest| rest.starts_with(kind.as_bytes()));
    if !begins_so {
        return Err(format!("its key is not one of the kind `{kind}`"));
    }
    Ok(Signer { key, ..signer })
}

fn is_kind_of_key(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start))
}

/// Splits at blanks outside of quotes; the quotes are dropped around a whole word only.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.chars() {
        let is_blank = letter.is_whitespace() && !is_quoted;
        is_quoted ^= letter == '"';
        match words.last_mut() {
            Some(word) if !is_blank => word.push(letter),
            Some(word) if word.is_empty() => {}
            _ => words.push(String::new()),
        }
    }
    if is_quoted {
        return Err("a quote is not closed".into());
    }
    let bare = |word: String| match word.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
        Some(inner) if !inner.contains('"') => inner.to_owned(),
        _ => word,
    };
    Ok(words.into_iter().filter(|word| !word.is_empty()).map(bare).collect())
}

/// Splits options at commas outside of quotes, and drops the quotes.
fn split(options: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_quoted = false;
    for letter in options.chars() {
        match (letter, parts.last_mut()) {
            ('"', _) => is_quoted = !is_quoted,
            (',', _) if !is_quoted => parts.push(String::new()),
            (_, Some(part)) => part.push(letter),
            (_, None) => {}
        }
    }
    parts
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with a `Z` for UTC, else as the host's clock on
/// the wall has it.
fn time(text: &str) -> Result<i64, String> {
    let (digits, is_utc) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let wrong = || format!("`{text}` is no time such as `20260131` or `20260131120000Z`");
    if !digits.bytes().all(|it| it.is_ascii_digit()) || ![8, 12, 14].contains(&digits.len()) {
        return Err(wrong());
    }
    let whole = format!("{digits:0<14}");
    let parsed = NaiveDateTime::parse_from_str(&whole, "%Y%m%d%H%M%S").map_err(|_| wrong())?;
    let seconds = parsed.and_utc().timestamp();
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Ok(if is_utc { seconds } else { seconds - zone_at(since).offset_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIJlrmvYpYDXRVQWyXdnSDkbDK2PJQUGQzkGUgXtLWPA";

    #[test]
    fn a_key_may_sign_what_its_line_says_and_when() {
        let text = format!(
            "# ours\n\nmax@example.com {KEY} comment here\n\
             max@example.com,*@ops.example.com namespaces=\"git,file\",valid-after=\"20260101Z\",valid-before=20270101Z {KEY}\n\
             \"min imal\" namespaces=\"file\" {KEY}\n"
        );
        let signers = read(&text).unwrap();
        assert_eq!(signers.len(), 3);
        assert_eq!(signers[0].may_sign(0), Ok(()));
        let within = 1_780_000_000;
        assert_eq!(signers[1].may_sign(within), Ok(()));
        assert!(signers[1].may_sign(1_700_000_000).unwrap_err().contains("not valid yet"));
        assert!(signers[1].may_sign(1_800_000_000).unwrap_err().contains("not valid any more"));
        assert_eq!(signers[2].principals, "min imal");
        assert!(signers[2].may_sign(within).unwrap_err().contains("may not sign for git"));
    }

    #[test]
    fn a_line_that_would_not_count_is_an_error_with_its_number() {
        for (line, why) in [
            ("max", "no kind of key"),
            ("max ssh-ed25519", "no key"),
            ("max ssh-ed25519 !!", "base64"),
            ("max ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIIJl", "not one of the kind"),
            ("max cert-authority ssh-ed25519 AAAA", "certificates"),
            ("max namespace=git ssh-ed25519 AAAA", "`namespace` is neither"),
            ("max valid-after=soon ssh-ed25519 AAAA", "`soon` is no time"),
            ("max valid-after=20261399 ssh-ed25519 AAAA", "is no time"),
            ("max namespaces=\"git ssh-ed25519 AAAA", "not closed"),
        ] {
            let (at, said) = read(&format!("# first\n{line}\n")).unwrap_err();
            assert!(at == 2 && said.contains(why), "{line}: {said}");
        }
    }
}
