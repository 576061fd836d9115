//! The look-up `password`: drawn once, kept in a file, or the same for a seed.

use super::{Asked, LookUp};
use crate::expr::filters::crypt;
use crate::expr::host;
use crate::expr::random::Random;
use indexmap::IndexMap;
use minijinja::Error;
use minijinja::value::{Value, ValueKind};

pub(super) const TABLE: &[LookUp] = &[LookUp::new(
    &["password"],
    "*paths, length=20, chars=['ascii_letters', 'digits', '.,:-_'], seed=none, encrypt=none, ident=none",
    |asked| asked.names().map(|term| password(asked, &term)).collect(),
    "A password that is drawn once and kept in a file, and masked; for `/dev/null` it is another \
     one each time. With `seed` it is the same each time, with `encrypt` its hash.",
    "lookup('password', '/root/db length=16')",
)];

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NAMED: [(&str, &str); 8] = [
    ("ascii_letters", LETTERS),
    ("ascii_lowercase", "abcdefghijklmnopqrstuvwxyz"),
    ("ascii_uppercase", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("digits", "0123456789"),
    ("hexdigits", "0123456789abcdefABCDEF"),
    ("octdigits", "01234567"),
    ("punctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    ("whitespace", " \t\n\r\u{b}\u{c}"),
];

fn password(asked: &Asked<'_>, term: &str) -> Result<Value, Error> {
    let (path, options) = split(term, &asked.options);
    let known = ["length", "chars", "seed", "encrypt", "ident"];
    if let Some(odd) = options.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(asked.wrong(format!("takes no `{odd}`; it takes {}", known.join(", "))));
    }
    let option = |name: &str| options.get(name).filter(|value| !value.is_none());
    let length = option("length").map_or(Some(20), |value| {
        value.as_usize().or_else(|| value.as_str()?.parse().ok()).filter(|length| *length <= 4096)
    });
    let length = length.ok_or_else(|| asked.wrong("takes a `length` of up to 4096"))?;
    let encrypt = option("encrypt").map(ToString::to_string).filter(|kind| !kind.is_empty());

    let kept = if path == "/dev/null" { None } else { read(asked, &path)? };
    let mut changed = kept.is_none();
    let (password, salt) = match kept {
        Some((password, salt)) => (password, salt),
        None => {
            let chars = characters(option("chars"));
            let mut random = Random::new(option("seed"));
            let drawn = (0..length).filter_map(|_| random.choice(&chars).copied());
            (drawn.collect(), None)
        }
    };
    let salt = match (&encrypt, salt) {
        (None, salt) => salt,
        (Some(_), Some(salt)) => Some(salt),
        (Some(kind), None) => {
            changed = true;
            let (size, chars) = (if kind == "bcrypt" { 22 } else { 8 }, characters(None));
            let chars: Vec<char> = chars.into_iter().filter(|c| c.is_alphanumeric()).collect();
            let mut random = Random::new(option("seed"));
            Some((0..size).filter_map(|_| random.choice(&chars).copied()).collect())
        }
    };
    if changed && path != "/dev/null" {
        let salt = salt.as_ref().map_or_else(String::new, |salt| format!(" salt={salt}"));
        let host = asked.host()?;
        host.keep(&host::path(&*host, &path), &format!("{password}{salt}\n"))
            .map_err(|why| asked.wrong(format!("cannot keep the password: {why}")))?;
    }
    if path != "/dev/null" {
        asked.scope.make_secret(&password);
    }
    let Some(kind) = encrypt else { return Ok(password.into()) };
    let ident = option("ident").map(ToString::to_string);
    let hash = crypt(&password, &kind, &salt.unwrap_or_default(), None, ident.as_deref());
    Ok(hash.map_err(|why| asked.wrong(why))?.into())
}

/// A path, and the options that follow it in the same text.
fn split(term: &str, options: &IndexMap<String, Value>) -> (String, IndexMap<String, Value>) {
    let mut options = options.clone();
    let mut words: Vec<&str> = term.split(' ').collect();
    while words.len() > 1
        && let Some((name, value)) = words.last().and_then(|word| word.split_once('='))
        && ["length", "chars", "seed", "encrypt", "ident"].contains(&name)
    {
        options.insert(name.to_owned(), value.into());
        words.pop();
    }
    (words.join(" "), options)
}

/// The password in the file, and the salt that was drawn for it.
fn read(asked: &Asked<'_>, path: &str) -> Result<Option<(String, Option<String>)>, Error> {
    let host = asked.host()?;
    let path = host::path(&*host, path);
    let told = |why: String| asked.wrong(why);
    if host.look(&path, true).map_err(told)?.is_none() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&host.read(&path).map_err(told)?).into_owned();
    let line = text.trim_end();
    let line = line.split(" ident=").next().unwrap_or(line);
    Ok(Some(match line.rsplit_once(" salt=") {
        Some((password, salt)) => (password.to_owned(), Some(salt.to_owned())),
        None => (line.to_owned(), None),
    }))
}

/// The characters that a password is drawn from. Quotes are never among them.
fn characters(chars: Option<&Value>) -> Vec<char> {
    let words: Vec<String> = match chars {
        None => ["ascii_letters", "digits", ".,:-_"].map(str::to_owned).into(),
        Some(value) if value.kind() == ValueKind::Seq => {
            super::opened(value).iter().map(ToString::to_string).collect()
        }
        Some(value) => {
            let text = value.to_string();
            // Two commas are one that is meant.
            let plain = text.replace(",,", "\0");
            plain
                .split(',')
                .map(|word| word.replace('\0', ","))
                .filter(|word| !word.is_empty())
                .collect()
        }
    };
    let spelled = words.iter().map(|word| {
        NAMED.iter().find(|(name, _)| name == word).map_or(word.as_str(), |(_, chars)| chars)
    });
    spelled.flat_map(str::chars).filter(|c| !matches!(c, '"' | '\'')).collect()
}
