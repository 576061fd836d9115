//! The table: how it is read, and how a row is found in it.

use super::Matching;
use crate::event::log::{Kept, RecordRef};
use core::net::IpAddr;
use std::collections::HashMap;

/// A table as it was read.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) columns: Vec<String>,
    rows: Vec<Vec<Option<Kept>>>,
}

/// The cells that a row adds, in order; `None` for an empty one.
type Cells = Vec<Option<Kept>>;

/// A table that rows can be found in.
pub(super) enum Table {
    Exact {
        rows: HashMap<Box<[u8]>, Cells>,
        ignore_case: bool,
    },
    /// By the length of the prefix, the longest first, and then by the network. IPv4 addresses
    /// are those of IPv6 that map them.
    Network(Vec<(u32, HashMap<u128, Cells>)>),
}

impl Rows {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let begin = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        match begin {
            Some(b'[') => Self::of_json(bytes),
            Some(_) => Self::of_csv(bytes),
            None => Err("the table is empty".into()),
        }
    }

    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    fn of_json(bytes: &[u8]) -> Result<Self, String> {
        type Object = serde_json::Map<String, serde_json::Value>;
        let objects: Vec<Object> = serde_json::from_slice(bytes)
            .map_err(|error| format!("expected a list of objects: {error}"))?;
        let mut columns: Vec<String> = Vec::new();
        for name in objects.iter().flat_map(Object::keys) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        let cell = |value: &serde_json::Value| match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(Kept::Text(text.clone().into_bytes())),
            other => Some(Kept::Json(other.to_string().into_bytes())),
        };
        let row = |object: &Object| columns.iter().map(|name| cell(object.get(name)?)).collect();
        let rows = objects.iter().map(row).collect();
        Ok(Self { columns, rows })
    }

    /// RFC 4180, with any line ends.
    fn of_csv(bytes: &[u8]) -> Result<Self, String> {
        let mut lines = Csv { rest: bytes, line: 1 };
        let text = |cell: Vec<u8>| String::from_utf8_lossy(&cell).trim().to_owned();
        let columns: Vec<String> = lines.next_row()?.into_iter().flatten().map(text).collect();
        let mut rows = Vec::new();
        loop {
            let line = lines.line;
            let Some(cells) = lines.next_row()? else { return Ok(Self { columns, rows }) };
            if cells.len() == 1 && cells.first().is_some_and(Vec::is_empty) {
                continue;
            }
            if cells.len() != columns.len() {
                let (found, expected) = (cells.len(), columns.len());
                return Err(format!("line {line}: found {found} cells, expected {expected}"));
            }
            let cell = |cell: Vec<u8>| (!cell.is_empty()).then_some(Kept::Text(cell));
            rows.push(cells.into_iter().map(cell).collect());
        }
    }
}

struct Csv<'a> {
    rest: &'a [u8],
    line: usize,
}

impl Csv<'_> {
    /// The cells of the next line; `None` at the end.
    fn next_row(&mut self) -> Result<Option<Vec<Vec<u8>>>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut cells = Vec::new();
        loop {
            cells.push(self.cell()?);
            match self.rest {
                [b',', rest @ ..] => self.rest = rest,
                [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => {
                    self.rest = rest;
                    self.line += 1;
                    return Ok(Some(cells));
                }
                [] => return Ok(Some(cells)),
                _ => return Err(format!("line {}: expected a comma after the quote", self.line)),
            }
        }
    }

    fn cell(&mut self) -> Result<Vec<u8>, String> {
        let Some(mut quoted) = self.rest.strip_prefix(b"\"") else {
            let end = self.rest.iter().position(|byte| matches!(byte, b',' | b'\n'));
            let (mut cell, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest;
            if rest.first() != Some(&b',') {
                cell = cell.strip_suffix(b"\r").unwrap_or(cell);
            }
            return Ok(cell.to_vec());
        };
        let begun = self.line;
        let mut cell = Vec::new();
        loop {
            match quoted {
                [b'"', b'"', rest @ ..] => {
                    cell.push(b'"');
                    quoted = rest;
                }
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Ok(cell);
                }
                [byte, rest @ ..] => {
                    self.line += usize::from(*byte == b'\n');
                    cell.push(*byte);
                    quoted = rest;
                }
                [] => return Err(format!("line {begun}: a quote is not closed")),
            }
        }
    }
}

impl Table {
    pub(super) fn new(
        rows: &Rows,
        keys: &[usize],
        added: &[usize],
        matching: Matching,
        ignore_case: bool,
    ) -> Result<Self, String> {
        let mut exact = HashMap::new();
        let mut networks: HashMap<u32, HashMap<u128, Cells>> = HashMap::new();
        for row in &rows.rows {
            let cells: Cells = added.iter().map(|at| row[*at].clone()).collect();
            let mut key = Vec::new();
            let mut whole = true;
            for at in keys {
                match &row[*at] {
                    Some(value) => write_part(&mut key, ignore_case, |out| {
                        value.as_ref().write_display(out);
                    }),
                    None => whole = false,
                }
            }
            if !whole {
                continue;
            }
            match matching {
                // The first row of several counts, as one who reads the table would take it.
                Matching::Exact => {
                    exact.entry(key.into_boxed_slice()).or_insert(cells);
                }
                Matching::Network => {
                    let text = String::from_utf8_lossy(&key[4..]);
                    let (bits, network) = network(&text).ok_or_else(|| {
                        format!("found `{text}`, expected a network such as `10.0.0.0/8`")
                    })?;
                    networks.entry(bits).or_default().entry(network).or_insert(cells);
                }
            }
        }
        if matching == Matching::Exact {
            return Ok(Self::Exact { rows: exact, ignore_case });
        }
        let mut networks: Vec<_> = networks.into_iter().collect();
        networks.sort_by_key(|(bits, _)| std::cmp::Reverse(*bits));
        Ok(Self::Network(networks))
    }

    /// The cells for a record whose `fields` are looked up.
    pub(super) fn find(
        &self,
        fields: &[String],
        record: &RecordRef<'_>,
        scratch: &mut Vec<u8>,
    ) -> Option<&Cells> {
        scratch.clear();
        match self {
            Self::Exact { rows, ignore_case } => {
                for name in fields {
                    let value = record.get(name)?;
                    write_part(scratch, *ignore_case, |out| value.write_display(out));
                }
                rows.get(scratch.as_slice())
            }
            Self::Network(networks) => {
                record.get(fields.first()?)?.write_display(scratch);
                let address = std::str::from_utf8(scratch).ok()?.trim().parse().ok()?;
                let address = number(address);
                networks.iter().find_map(|(bits, rows)| rows.get(&masked(address, *bits)))
            }
        }
    }
}

/// Appends a part of a key after its length, so that parts cannot run into each other.
fn write_part(out: &mut Vec<u8>, ignore_case: bool, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    if ignore_case {
        match std::str::from_utf8(&out[start + 4..]) {
            Ok(text) if !text.is_ascii() => {
                let text = text.to_lowercase();
                out.truncate(start + 4);
                out.extend_from_slice(text.as_bytes());
            }
            _ => out[start + 4..].make_ascii_lowercase(),
        }
    }
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn masked(address: u128, bits: u32) -> u128 {
    if bits == 0 { 0 } else { address & (u128::MAX << (128 - bits)) }
}

/// Length of the prefix and the network of `10.0.0.0/8`, `2001:db8::/32` or a single address.
fn network(text: &str) -> Option<(u32, u128)> {
    let text = text.trim();
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (most, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let bits = bits.unwrap_or(most);
    (bits <= most).then(|| (bits + before, masked(number(address), bits + before)))
}
