//! What the work costs without an agent: bare loops to hold Driftless against, and the data for
//! it. `benches/compare.sh` runs both in turn.
//!
//! ```text
//! cargo bench --bench bare -- generate mixed 500 FILE    500 MB of mixed log lines
//! cargo bench --bench bare -- generate json 540 FILE     540 MB of JSON access logs
//! cargo bench --bench bare -- generate combined 500 FILE 500 MB of nginx's access log
//! cargo bench --bench bare -- copy FROM TO               read, write
//! cargo bench --bench bare -- filter FROM TO             keep lines with `error`, any case
//! cargo bench --bench bare -- json FROM TO               parse, keep objects with status >= 500
//! cargo bench --bench bare -- fields FROM TO             parse, add two entries to each object
//! cargo bench --bench bare -- access FROM TO             split an access log, write it as JSON
//! cargo bench --bench bare -- gzip FROM TO               compress, at level 1
//! cargo bench --bench bare -- zstd FROM TO               the same
//! ```

mod data;

use data::{Dice, access, combined, mixed};
use flate2::write::GzEncoder;
use memchr::{memchr, memchr_iter, memchr2, memrchr};
use regex::bytes::Regex;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Write};

const CHUNK_BYTES: usize = 1 << 20;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["generate", kind, megabytes, to] => generate(kind, megabytes.parse()?, to),
        ["copy", from, to] => each_chunk(from, to, |chunk, out| out.write_all(chunk)),
        ["filter", from, to] => {
            let pattern = Regex::new("(?i)error")?;
            let mut kept = Vec::with_capacity(CHUNK_BYTES);
            each_chunk(from, to, |chunk, out| {
                kept.clear();
                filter(chunk, &pattern, &mut kept);
                out.write_all(&kept)
            })
        }
        ["json", from, to] => {
            let mut kept = Vec::with_capacity(CHUNK_BYTES);
            let mut entries = Vec::new();
            each_chunk(from, to, |chunk, out| {
                kept.clear();
                let mut start = 0;
                for end in memchr_iter(b'\n', chunk) {
                    let line = &chunk[start..end];
                    let parsed = parse(line, &mut entries);
                    let status = parsed.and_then(|()| number_at(line, &entries, b"status"));
                    if status.is_some_and(|status| status >= 500) {
                        kept.extend_from_slice(&chunk[start..=end]);
                    }
                    start = end + 1;
                }
                out.write_all(&kept)
            })
        }
        ["fields", from, to] => {
            let mut made = Vec::with_capacity(2 * CHUNK_BYTES);
            let mut entries = Vec::new();
            each_chunk(from, to, |chunk, out| {
                made.clear();
                let mut start = 0;
                for end in memchr_iter(b'\n', chunk) {
                    let line = &chunk[start..end];
                    if parse(line, &mut entries).is_some() {
                        made.extend_from_slice(&line[..line.len() - 1]);
                        made.extend_from_slice(b",\"env\":\"prod\",\"team\":\"web\"}\n");
                    }
                    start = end + 1;
                }
                out.write_all(&made)
            })
        }
        ["access", from, to] => {
            let mut made = Vec::with_capacity(3 * CHUNK_BYTES);
            each_chunk(from, to, |chunk, out| {
                made.clear();
                let mut start = 0;
                for end in memchr_iter(b'\n', chunk) {
                    access_as_json(&chunk[start..end], &mut made);
                    start = end + 1;
                }
                out.write_all(&made)
            })
        }
        ["gzip", from, to] => {
            let level = flate2::Compression::new(1);
            let mut packed = GzEncoder::new(File::create(to)?, level);
            each_chunk(from, "/dev/null", |chunk, _| packed.write_all(chunk))?;
            Ok(packed.finish().map(drop)?)
        }
        ["zstd", from, to] => {
            let mut packed = zstd::stream::write::Encoder::new(File::create(to)?, 1)?;
            each_chunk(from, "/dev/null", |chunk, _| packed.write_all(chunk))?;
            Ok(packed.finish().map(drop)?)
        }
        // Under `cargo bench` without arguments there is nothing to time.
        _ => Ok(()),
    }
}

/// Reads `from` in chunks of whole lines.
fn each_chunk(
    from: &str,
    to: &str,
    mut work: impl FnMut(&[u8], &mut File) -> std::io::Result<()>,
) -> Outcome {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut filled = 0;
    loop {
        let read = from.read(&mut buffer[filled..])?;
        filled += read;
        let end = if read == 0 {
            filled
        } else {
            memrchr(b'\n', &buffer[..filled]).map_or(0, |at| at + 1)
        };
        work(&buffer[..end], &mut to)?;
        buffer.copy_within(end..filled, 0);
        filled -= end;
        if read == 0 {
            return Ok(());
        }
    }
}

/// What stands in each place of a line of nginx's combined format, and what ends it there.
const PLACES: [(&str, u8); 11] = [
    ("remote_addr", b' '),
    ("", b' '),
    ("remote_user", b'['),
    ("time_local", b']'),
    ("", b'"'),
    ("request", b'"'),
    ("", b' '),
    ("status", b' '),
    ("body_bytes_sent", b' '),
    ("", b'"'),
    ("http_referer", b'"'),
];

/// Appends an object of the line's parts; nothing is checked, and nothing is unescaped.
fn access_as_json(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line;
    let mut between: &[u8] = b"{\"";
    for (name, end) in PLACES {
        let at = memchr(end, rest).unwrap_or(rest.len());
        if !name.is_empty() {
            let number = matches!(name, "status" | "body_bytes_sent");
            out.extend_from_slice(between);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(if number { b"\":" } else { b"\":\"" });
            out.extend_from_slice(&rest[..at]);
            between = if number { b",\"" } else { b"\",\"" };
        }
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    out.extend_from_slice(b"\",\"http_user_agent\":\"");
    out.extend_from_slice(rest.get(2..rest.len().saturating_sub(1)).unwrap_or_default());
    out.extend_from_slice(b"\"}\n");
}

fn filter(chunk: &[u8], pattern: &Regex, kept: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(hit) = pattern.find_at(chunk, at) {
        let start = memrchr(b'\n', &chunk[..hit.start()]).map_or(0, |at| at + 1);
        let end = memchr(b'\n', &chunk[hit.end()..]).map_or(chunk.len(), |n| hit.end() + n + 1);
        kept.extend_from_slice(&chunk[start..end]);
        at = end;
    }
}

/// A name and its value, as places in the line.
type Entry = (usize, usize, usize, usize);

/// Finds every top-level entry of a JSON object: what parsing a line comes to at the least.
fn parse(line: &[u8], entries: &mut Vec<Entry>) -> Option<()> {
    entries.clear();
    let mut at = 1;
    while line.get(at)? != &b'}' {
        let open = at + memchr(b'"', &line[at..])?;
        let close = string_end(line, open + 1)?;
        let value = close + 1 + memchr(b':', &line[close + 1..])? + 1;
        let end = value_end(line, value)?;
        entries.push((open + 1, close, value, end));
        at = if line.get(end)? == &b',' { end + 1 } else { end };
    }
    Some(())
}

/// The whole number under a name.
fn number_at(line: &[u8], entries: &[Entry], name: &[u8]) -> Option<u32> {
    let is_it = |entry: &&Entry| &line[entry.0..entry.1] == name;
    let &(_, _, from, to) = entries.iter().find(is_it)?;
    Some(line[from..to].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit.wrapping_sub(b'0'))))
}

fn string_end(line: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', &line[at..])?;
        if line[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

fn value_end(line: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0;
    loop {
        match line.get(at)? {
            b'"' => at = string_end(line, at + 1)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

fn generate(kind: &str, megabytes: usize, to: &str) -> Outcome {
    let mut out = BufWriter::with_capacity(CHUNK_BYTES, File::create(to)?);
    let mut dice = Dice::new();
    let mut line = String::new();
    let mut written = 0;
    for number in 0u64.. {
        line.clear();
        match kind {
            "mixed" => mixed(number, &mut dice, &mut line)?,
            "json" => access(number, &mut dice, &mut line)?,
            "combined" => combined(number, &mut dice, &mut line)?,
            _ => return Err("expected `mixed`, `json` or `combined`".into()),
        }
        out.write_all(line.as_bytes())?;
        written += line.len();
        if written >= megabytes * 1_000_000 {
            break;
        }
    }
    Ok(out.flush()?)
}
