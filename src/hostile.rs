//! Any bytes, wherever this program reads what it has not written itself, or may find damaged.
//!
//! Each target has one body. `cargo test` runs it on good input, on good input that was damaged, and
//! on noise; `fuzz/` runs the very same under cargo-fuzz. A body fails by a panic.

use crate::cli::report::{Colour, write_json, write_text};
use crate::config::load::{Naming, Surroundings, load_topology};
use crate::config::read::{Dialect, Format, read_text};
use crate::config::secrets::Places;
use crate::event;
use crate::event::tree::SourceFile;
use crate::expr;
use crate::expr::jinja::Engine;
use crate::host;
use crate::host::facts::Facts;
use crate::host::roots::Roots;
use crate::net;
use crate::sinks;
use crate::sources;
use crate::topology;
use crate::transforms;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A place where bytes are read.
pub struct Target {
    /// Its name, which is that of the fuzz target.
    pub name: &'static str,
    body: Body,
    seeds: fn() -> Vec<Vec<u8>>,
}

enum Body {
    /// What is in memory.
    Bytes(fn(&[u8])),
    /// What is in files: they go into a directory of their own.
    Files(fn(&[u8], &Path)),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    bytes("parse", transforms::parse::hostile::line, transforms::parse::hostile::lines),
    bytes("framing", event::log::hostile::framing, event::log::hostile::texts),
    bytes("lines", event::log::hostile::stream, event::log::hostile::streams),
    bytes("checkpoint", sources::file::hostile::checkpoint, sources::file::hostile::checkpoints),
    bytes("stream", net::listen::hostile::stream, net::listen::hostile::streams),
    bytes("journal", sources::journald::hostile::journal, sources::journald::hostile::journals),
    bytes("body", sources::http::hostile::body, sources::http::hostile::bodies),
    bytes("pack", event::pack::hostile::batch, event::pack::hostile::batches),
    bytes("expression", expr::hostile::expression, expr::hostile::expressions),
    bytes("promql", expr::promql::hostile::promql, expr::promql::hostile::promqls),
    bytes(
        "rule_template",
        expr::go_template::hostile::rule_template,
        expr::go_template::hostile::rule_templates,
    ),
    bytes(
        "plugin",
        sources::host_metrics::hostile::plugin,
        sources::host_metrics::hostile::plugins,
    ),
    bytes("config", config, configs),
    bytes("bus", host::bus::hostile::message, host::bus::hostile::messages),
    bytes("acl", host::acl::hostile::list, host::acl::hostile::lists),
    bytes(
        "keys",
        sinks::apply::tasks::keys_hostile::file,
        sinks::apply::tasks::keys_hostile::files,
    ),
    bytes("tables", sinks::apply::tasks::hostile::table, sinks::apply::tasks::hostile::tables),
    bytes(
        "public_keys",
        host::packages::public_keys::hostile::file,
        host::packages::public_keys::hostile::files,
    ),
    bytes("signature", net::git::hostile::signature, net::git::hostile::signatures),
    bytes("signers", net::git::hostile::signers, net::git::hostile::signer_files),
    bytes("capabilities", host::capabilities::hostile::rights, host::capabilities::hostile::all),
    bytes("untold", topology::untold::hostile::untold, topology::untold::hostile::files),
    files("segment", topology::buffer::hostile::segment, topology::buffer::hostile::segments),
    files(
        "kernel_file",
        sources::host_metrics::hostile::kernel_file,
        sources::host_metrics::hostile::kernel_files,
    ),
    files("deliveries", topology::once::hostile::deliveries, topology::once::hostile::journals),
    files("chain", host::audit::hostile::chain, host::audit::hostile::chains),
];

const fn bytes(name: &'static str, body: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, body: Body::Bytes(body), seeds }
}

const fn files(name: &'static str, body: fn(&[u8], &Path), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, body: Body::Files(body), seeds }
}

/// Runs the target `name` on this input; `scratch` is a directory that it may fill, and that is
/// empty again afterwards.
pub fn run(name: &str, input: &[u8], scratch: &Path) {
    for target in TARGETS.iter().filter(|target| target.name == name) {
        target.run(input, scratch);
    }
}

/// Writes the good inputs of the target `name` into `corpus`, for a fuzzer to begin with. Where that
/// cannot be, it begins with less.
pub fn sow(name: &str, corpus: &Path) {
    fs::create_dir_all(corpus).ok();
    for target in TARGETS.iter().filter(|target| target.name == name) {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number}")), seed).ok();
        }
    }
}

impl Target {
    fn run(&self, input: &[u8], scratch: &Path) {
        match self.body {
            Body::Bytes(body) => body(input),
            Body::Files(body) => {
                let dir = scratch.join(self.name);
                if fs::create_dir_all(&dir).is_ok() {
                    body(input, &dir);
                    fs::remove_dir_all(&dir).ok();
                }
            }
        }
    }
}

/// A config file: what is right has a graph, and what is wrong is told with its place.
fn config(input: &[u8]) {
    let Some((how, text)) = input.split_first() else { return };
    let (format, dialect, name) = match how % 4 {
        0 => (Format::Yaml, Dialect::Yaml12, "topology.yml"),
        1 => (Format::Yaml, Dialect::Yaml11, "apply.yml"),
        2 => (Format::Toml, Dialect::Yaml12, "topology.toml"),
        _ => (Format::Json, Dialect::Yaml12, "topology.json"),
    };
    let text = String::from_utf8_lossy(text).into_owned();
    let file = Arc::new(SourceFile::new(Path::new(name).into(), text));
    let complaints = match read_text(&file, format, dialect) {
        Err(complaints) => complaints,
        Ok(node) => {
            let surroundings = Surroundings {
                engine: Arc::new(Engine::new()),
                facts: Arc::new(Facts::new(Roots::below(Path::new("/nonexistent")))),
                host: "hostile".to_owned(),
                naming: Naming::OfConfig,
                groups: Vec::new(),
                programs: Default::default(),
                secret_places: Places {
                    environment: &|_| None,
                    credentials: None,
                    files: Vec::new(),
                },
                masker: Default::default(),
            };
            load_topology(node, &surroundings).err().unwrap_or_default()
        }
    };
    let mut told = Vec::new();
    let written = write_text(&mut told, &complaints, Colour::Always)
        .and_then(|()| write_json(&mut told, &complaints));
    assert!(written.is_ok(), "memory takes everything");
    for span in complaints.iter().filter_map(|complaint| complaint.span.as_ref()) {
        let (text, start, end) = (&span.file.text, span.start, span.end);
        // A character that nobody expected is shown by its first byte.
        assert!(text.is_char_boundary(start) && start <= end && end <= text.len(), "{span}");
    }
}

const YAML: &str = r#"
sources: {a: {type: file, include: ['/x/*.log'], multiline: {mode: java}}}
transforms:
  p: {type: parse, format: json, inputs: [a]}
  f: {type: filter, keep: "status >= 500 and path is match('^/a')", inputs: p}
  s: {type: set, fields: {n: '{{ a | upper }}', m: 0x1F}, inputs: [f]}
sinks:
  o:
    type: http
    inputs: [s]
    url: https://h/
    timeout: 5s
    batch: {bytes: 1MiB}
  k: {type: elasticsearch, inputs: [f], url: [https://h, 'http://{{ vars.x }}'], index: 'a-%Y'}
  l:
    type: file
    inputs: [f]
    path: |-
      /o/{{ host }}/%Y.log
"#;
const APPLY: &str = "
a: &a [yes, 0644, 1_000, 1:30, ~, .inf, 2001-12-14, !unsafe '{{ x }}']
b: >
  folded
  text

c: !!str 5
? d
: {e: *a}
";
const TOML: &str = r#"
[sources.a]
type = "file"
include = ["/x/*.log"]
[sinks.o]
type = 'file'
inputs = ["a"]
path = '''/o/%H'''
sync = { every = 2024-01-01T00:00:00Z }
"#;
const JSON: &str = r#"{"sources": {"a": {"type": "syslog", "mode": "tcp", "listen": "[::1]:1"}},
 "sinks": {"o": {"type": "s3", "inputs": ["a"], "bucket": "b", "url": "http://\u00e9", "n": 1e400}}}"#;

fn configs() -> Vec<Vec<u8>> {
    let all = [YAML, APPLY, TOML, JSON].into_iter().zip(0..);
    all.map(|(text, how)| [&[how], text.as_bytes()].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

    /// What may happen to a file while nobody looks.
    #[derive(Clone, Debug)]
    enum Damage {
        Cut(Index),
        Flip(Index, u8),
        Put(Index, Vec<u8>),
        Take(Index, usize),
        Again(Index, usize),
    }

    const PIECES: [&[u8]; 8] = [
        &[255; 8],
        &[0; 4],
        b"18446744073709551615",
        b"-9223372036854775808",
        b"1e999",
        b"{{{{{{{{{{",
        b"[[[[[[[[[[",
        b"\xed\xa0\x80\xc3",
    ];

    fn damage() -> impl Strategy<Value = Damage> {
        let pieces = prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..12),
            "[\\[\\]{}()\"'`\\\\:,;=%|&*!<>#@~^$?. \t\r\n0-9a-zA-Zé\u{feff}😀-]{1,12}"
                .prop_map(String::into_bytes),
            proptest::sample::select(&PIECES[..]).prop_map(<[u8]>::to_vec),
        ];
        prop_oneof![
            any::<Index>().prop_map(Damage::Cut),
            (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
            (any::<Index>(), pieces).prop_map(|(at, piece)| Damage::Put(at, piece)),
            (any::<Index>(), 1usize..30).prop_map(|(at, len)| Damage::Take(at, len)),
            (any::<Index>(), 1usize..200).prop_map(|(at, len)| Damage::Again(at, len)),
        ]
    }

    fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
        for damage in damages {
            if bytes.is_empty() {
                break;
            }
            let (Damage::Cut(place)
            | Damage::Flip(place, _)
            | Damage::Put(place, _)
            | Damage::Take(place, _)
            | Damage::Again(place, _)) = damage;
            let at = place.index(bytes.len());
            let end = |len: usize| (at + len).min(bytes.len());
            match damage {
                Damage::Cut(_) => bytes.truncate(at),
                Damage::Flip(_, bit) => bytes[at] ^= 1 << bit,
                Damage::Put(_, piece) => drop(bytes.splice(at..at, piece.iter().copied())),
                Damage::Take(_, len) => drop(bytes.drain(at..end(*len))),
                Damage::Again(_, len) => {
                    let piece = bytes[at..end(*len)].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        bytes
    }

    #[test]
    fn no_part_of_good_input_breaks_anything() {
        let scratch = tempfile::tempdir().unwrap();
        for target in TARGETS {
            for seed in (target.seeds)() {
                // Of long ones, not every length.
                for end in (0..seed.len()).step_by(1 + seed.len() / 100) {
                    target.run(&seed[..end], scratch.path());
                }
                target.run(&seed, scratch.path());
            }
        }
    }

    proptest! {
        #[test]
        fn no_damage_to_good_input_breaks_anything(
            which: Index,
            damages in proptest::collection::vec(damage(), 1..5),
        ) {
            let scratch = tempfile::tempdir().unwrap();
            for target in TARGETS {
                let seeds = (target.seeds)();
                let seed = seeds[which.index(seeds.len())].clone();
                target.run(&damaged(seed, &damages), scratch.path());
            }
        }

        #[test]
        fn no_noise_breaks_anything(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let scratch = tempfile::tempdir().unwrap();
            for target in TARGETS {
                target.run(&bytes, scratch.path());
            }
        }
    }

    #[test]
    fn what_broke_something_once_breaks_nothing_now() {
        let scratch = tempfile::tempdir().unwrap();
        // Numbers that have none behind them.
        let last = format!("{{\"seq\":{},\"prev\":\"\"}}\n", u64::MAX);
        // A batch whose chunk is empty and has a table all the same.
        let hollow = b"\0\x03app\0\0\0\0\x07\0\x02\0\0\0\0\0\0\0\0";
        for (name, input) in [
            ("chain", last.repeat(2).as_bytes()),
            ("chain", last.as_bytes()),
            ("pack", &hollow[..]),
            // Parts of a chunk that was large.
            ("pack", &b"\x2a\0\x01\x02\x06\0\0\x13\0\x01\xff\xff\xf9\xff\0\0\0\xe9\xff\x80"[..]),
            // The last number that there is, twice.
            ("segment", &b"\x01\xf5\x00\xff\xff\x04\xc6\x05\x00\x03\xf5\x00\xff\xff\xff"[..]),
            // What may begin a byte order mark, and is longer than a line may be.
            ("stream", &b"\xbd\x00\x00\xef\xbb\x5d\x80"[..]),
        ] {
            run(name, input, scratch.path());
        }
    }
}
