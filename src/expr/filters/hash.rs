//! Digests, password hashes and base64.

use crate::event::hex::hex;
use crate::expr::call::{Call, Callable, wrong};
use crate::expr::random::Random;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::Error;
use minijinja::value::Value;
use sha2::Digest as _;

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["hash"],
        "hashtype='sha1'",
        |call| {
            let kind = call.text("hashtype").unwrap_or_else(|| "sha1".into());
            digest(call, &kind)
        },
        "The digest of a text: `md5`, `sha1`, `sha224`, `sha256`, `sha384` or `sha512`.",
        "'a' | hash('md5') → '0cc175b9c0f1b6a831c399e269772661'",
    )
    .derives(),
    Callable::new(
        &["md5"],
        "",
        |call| digest(call, "md5"),
        "The MD5 digest of a text.",
        "'a' | md5 → '0cc175b9c0f1b6a831c399e269772661'",
    )
    .derives(),
    Callable::new(
        &["sha1", "checksum"],
        "",
        |call| digest(call, "sha1"),
        "The SHA-1 digest of a text.",
        "'a' | sha1 → '86f7e437faa5a7fce15d1ddcb9eaeaea377667b8'",
    )
    .derives(),
    Callable::new(
        &["password_hash"],
        "hashtype='sha512', salt=none, salt_size=none, rounds=none, ident=none",
        password_hash,
        "A password as `/etc/shadow` has it: `sha512`, `sha256` or `bcrypt`. Without `salt` it is \
         another one each time; without `rounds` it takes as many as in Ansible, 656000 of SHA-512.",
        "'secret' | password_hash('sha512', 'salt', rounds=5000)",
    )
    .derives(),
    Callable::new(
        &["to_uuid"],
        "namespace='361E6D51-FAEC-444A-9079-341386DA8E2E'",
        to_uuid,
        "The UUID (version 5) that belongs to a text.",
        "'a' | to_uuid",
    )
    .derives(),
    Callable::new(
        &["b64encode"],
        "encoding='utf-8', urlsafe=false",
        |call| {
            let text = call.value.to_string();
            let encoded = STANDARD.encode(match call.value.as_bytes() {
                Some(bytes) if call.value.as_str().is_none() => bytes.to_vec(),
                _ => encode(call, &text)?,
            });
            Ok(match call.flag("urlsafe", false) {
                true => encoded.replace('+', "-").replace('/', "_"),
                false => encoded,
            }
            .into())
        },
        "The text in base64.",
        "'hi' | b64encode → 'aGk='",
    )
    .derives(),
    Callable::new(
        &["b64decode"],
        "encoding='utf-8', urlsafe=false",
        |call| {
            let text: String = call.value.to_string().split_whitespace().collect();
            let text = text.replace('-', "+").replace('_', "/");
            let bytes = STANDARD.decode(text);
            let bytes = bytes.map_err(|e| call.wrong(format!("takes base64: {e}")))?;
            Ok(decode(call, bytes)?.into())
        },
        "The text that some base64 stands for.",
        "'aGk=' | b64decode → 'hi'",
    )
    .derives(),
];

/// Text in the encoding that a call names.
fn encode(call: &Call<'_, '_, '_>, text: &str) -> Result<Vec<u8>, Error> {
    Ok(match encoding(call)? {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf16(pair) => {
            text.encode_utf16().flat_map(|unit| pair(unit.to_be_bytes())).collect()
        }
    })
}

fn decode(call: &Call<'_, '_, '_>, bytes: Vec<u8>) -> Result<String, Error> {
    let text = match encoding(call)? {
        Encoding::Utf8 => String::from_utf8(bytes).ok(),
        Encoding::Utf16(pair) => {
            let units = bytes.chunks_exact(2).map(|two| u16::from_be_bytes(pair([two[0], two[1]])));
            String::from_utf16(&units.collect::<Vec<_>>()).ok()
        }
    };
    text.ok_or_else(|| call.wrong("finds bytes that are no text in this encoding"))
}

enum Encoding {
    Utf8,
    /// With what turns a pair of bytes into big-endian order and back.
    Utf16(fn([u8; 2]) -> [u8; 2]),
}

fn encoding(call: &Call<'_, '_, '_>) -> Result<Encoding, Error> {
    let name = call.text("encoding").unwrap_or_else(|| "utf-8".into()).to_lowercase();
    match name.replace('_', "-").as_str() {
        "utf-8" | "utf8" | "ascii" => Ok(Encoding::Utf8),
        "utf-16-le" | "utf-16le" => Ok(Encoding::Utf16(|[a, b]| [b, a])),
        "utf-16-be" | "utf-16be" => Ok(Encoding::Utf16(|pair| pair)),
        _ => Err(call.wrong(format!("knows utf-8, utf-16-le and utf-16-be, not `{name}`"))),
    }
}

fn digest(call: &Call<'_, '_, '_>, kind: &str) -> Result<Value, Error> {
    let text = call.value.to_string();
    let text = call.value.as_bytes().unwrap_or(text.as_bytes());
    Ok(match kind {
        "md5" => format!("{:x}", md5::compute(text)),
        "sha1" => hex(&sha1::Sha1::digest(text)),
        "sha224" => hex(&sha2::Sha224::digest(text)),
        "sha256" => hex(&sha2::Sha256::digest(text)),
        "sha384" => hex(&sha2::Sha384::digest(text)),
        "sha512" => hex(&sha2::Sha512::digest(text)),
        other => {
            let known = "it knows md5, sha1, sha224, sha256, sha384 and sha512";
            return Err(call.wrong(format!("knows no digest `{other}`; {known}")));
        }
    }
    .into())
}

fn password_hash(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let kind = call.text("hashtype").unwrap_or_else(|| "sha512".into());
    let rounds = call.int("rounds")?.map(|rounds| u32::try_from(rounds).unwrap_or(u32::MAX));
    let size = call.count("salt_size", 0)?;
    let salt = call.text("salt").unwrap_or_else(|| salt(&kind, size));
    let ident = call.text("ident");
    let hash = crypt(&call.value.to_string(), &kind, &salt, rounds, ident.as_deref());
    Ok(hash.map_err(|why| call.wrong(why))?.into())
}

/// Characters of salts, in the order of crypt's own base64.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Rounds that Ansible takes where nothing is said.
const SHA512_ROUNDS: u32 = 656_000;
const SHA256_ROUNDS: u32 = 535_000;
/// So many are meant where a hash names no number.
const UNNAMED_ROUNDS: u32 = 5000;
/// Rounds of SHA that a password hash may take.
const MOST_ROUNDS: u32 = 5_000_000;

/// A salt that nobody can foretell.
fn salt(kind: &str, size: usize) -> String {
    let size = match (size, kind) {
        (_, "bcrypt" | "blowfish") => 22,
        (0, _) => 16,
        (size, _) => size.min(16),
    };
    let mut random = Random::new(None);
    let drawn = (0..size).filter_map(|_| random.choice(ALPHABET).copied());
    drawn.map(char::from).collect()
}

/// A password as `/etc/shadow` has it.
pub(in crate::expr) fn crypt(
    password: &str,
    kind: &str,
    salt: &str,
    rounds: Option<u32>,
    ident: Option<&str>,
) -> Result<String, String> {
    let is_salt = |c: u8| ALPHABET.contains(&c);
    if let Some(odd) = salt.bytes().find(|c| !is_salt(*c)) {
        let odd = char::from(odd);
        return Err(format!("takes a salt of letters, digits, `.` and `/`, and this has `{odd}`"));
    }
    let usual = if kind.starts_with("sha256") { SHA256_ROUNDS } else { SHA512_ROUNDS };
    let sha_rounds = rounds.unwrap_or(usual);
    let named = match sha_rounds {
        UNNAMED_ROUNDS => String::new(),
        rounds => format!("rounds={rounds}$"),
    };
    let params = || {
        // More would keep the host busy for minutes.
        let rounds = sha_rounds.min(MOST_ROUNDS + 1);
        let params = (rounds <= MOST_ROUNDS).then(|| sha_crypt::Params::new(rounds).ok());
        params.flatten().ok_or_else(|| format!("takes from 1000 to {MOST_ROUNDS} rounds"))
    };
    let short = |salt: &str| -> Result<String, String> {
        match salt.len() {
            0..=16 => Ok(salt.to_owned()),
            length => Err(format!("takes a salt of up to 16 characters, and this has {length}")),
        }
    };
    match kind {
        "sha512" | "sha512_crypt" => {
            let salt = short(salt)?;
            let sum = sha_crypt::sha512_crypt(password.as_bytes(), salt.as_bytes(), params()?);
            let mut out = format!("$6${named}{salt}$");
            let (mut a, mut b, mut c) = (0, 21, 42);
            for _ in 0..21 {
                spell([sum[a], sum[b], sum[c]], 4, &mut out);
                (a, b, c) = (b + 1, c + 1, a + 1);
            }
            spell([0, 0, sum[63]], 2, &mut out);
            Ok(out)
        }
        "sha256" | "sha256_crypt" => {
            let salt = short(salt)?;
            let sum = sha_crypt::sha256_crypt(password.as_bytes(), salt.as_bytes(), params()?);
            let mut out = format!("$5${named}{salt}$");
            let (mut a, mut b, mut c) = (0, 10, 20);
            for _ in 0..10 {
                spell([sum[a], sum[b], sum[c]], 4, &mut out);
                (a, b, c) = (c + 1, a + 1, b + 1);
            }
            spell([0, sum[31], sum[30]], 3, &mut out);
            Ok(out)
        }
        "bcrypt" | "blowfish" => bcrypt(password, salt, rounds.unwrap_or(12), ident),
        "md5" | "md5_crypt" => {
            Err("makes no MD5 hashes, which anybody can reverse: use sha512".into())
        }
        other => {
            let known = "it knows sha512, sha256 and bcrypt";
            Err(format!("knows no kind of hash `{other}`; {known}"))
        }
    }
}

fn bcrypt(password: &str, salt: &str, rounds: u32, ident: Option<&str>) -> Result<String, String> {
    let ident = ident.unwrap_or("2b");
    if !matches!(ident, "2b" | "2a" | "2y") {
        return Err(format!("knows no ident `{ident}`; it knows 2a, 2b and 2y"));
    }
    // More would keep the host busy for minutes.
    if !(4..=16).contains(&rounds) {
        return Err(format!("takes from 4 to 16 rounds for bcrypt, not {rounds}"));
    }
    let unfit = || format!("takes a salt of 22 characters for bcrypt, and this has {}", salt.len());
    // The last character has four bits that count; the others are made zero.
    let last = bcrypt::BASE_64;
    let index = |c: u8| bcrypt_alphabet().iter().position(|other| *other == c);
    let (head, tail) = salt.as_bytes().split_at_checked(21).ok_or_else(unfit)?;
    let [tail] = tail else { return Err(unfit()) };
    let tail = index(*tail).map(|at| bcrypt_alphabet()[at & 0b11_0000]).ok_or_else(unfit)?;
    let salt = [head, &[tail]].concat();
    let raw = last.decode(&salt).map_err(|_| unfit())?;
    let raw: [u8; 16] = raw.try_into().map_err(|_| unfit())?;
    // The algorithm takes the zero byte at the end of C's strings in, and 72 bytes in all.
    let mut bytes = password.as_bytes().to_vec();
    bytes.push(0);
    bytes.truncate(72);
    let sum = bcrypt::bcrypt(rounds, raw, &bytes);
    let salt = String::from_utf8_lossy(&salt).into_owned();
    Ok(format!("${ident}${rounds:02}${salt}{}", last.encode(&sum[..23])))
}

fn bcrypt_alphabet() -> &'static [u8; 64] {
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
}

/// Three bytes in crypt's base64, whose first character is the lowest bits.
fn spell([a, b, c]: [u8; 3], count: usize, out: &mut String) {
    let mut bits = (u32::from(a) << 16) | (u32::from(b) << 8) | u32::from(c);
    for _ in 0..count {
        out.push(char::from(ALPHABET[(bits & 63) as usize]));
        bits >>= 6;
    }
}

fn to_uuid(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let namespace = call.text("namespace");
    let namespace = namespace.as_deref().unwrap_or("361E6D51-FAEC-444A-9079-341386DA8E2E");
    let digits: Vec<u8> = namespace
        .chars()
        .filter(|c| *c != '-')
        .filter_map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    if digits.len() != 32 {
        return Err(wrong(format!("`to_uuid` takes a UUID as `namespace`, not `{namespace}`")));
    }
    let mut sum = sha1::Sha1::new();
    sum.update(digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect::<Vec<_>>());
    sum.update(call.value.to_string());
    let mut bytes = sum.finalize().to_vec();
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex(&bytes[..16]);
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(parts.join("-").into())
}
