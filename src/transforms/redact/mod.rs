//! `redact`: hides what should not be in a log.

mod detect;
#[cfg(test)]
mod tests;

use crate::event::hmac::hmac;
use crate::event::log::{FieldRef, FieldWriter, LogBatch, RecordRef, Verdict};
use crate::event::secret::SecretText;
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use detect::Detectors;
pub use detect::Known;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use sha2::Sha256;

/// Hides what should not be in a log: card numbers, addresses, tokens, keys.
///
/// ```yaml
/// clean: {type: redact, patterns: [card, email, bearer_token, aws_secret_key], inputs: [app]}
/// pseudonyms:
///   type: redact
///   regexes:
///     customer: 'customer=(\S+)'       # only what the group holds
///   fields: [message, url]
///   action: hash
///   key: "{{ secrets.REDACT_KEY }}"
///   inputs: [clean]
/// ```
///
/// A record in which nothing is found stays as it was read. Fields that hold objects or lists are
/// looked into. A private key is found where it is one record, so lines that belong together have
/// to be joined before.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What to look for.
    #[serde(default)]
    pub patterns: Vec<Known>,
    /// Further regular expressions, by a name of your own. Where one has a group, only what its
    /// first group holds is hidden.
    #[serde(default)]
    pub regexes: IndexMap<String, String>,
    /// The fields to look into. Without any all are; a line that nothing has parsed is `message`.
    #[serde(default)]
    pub fields: Vec<String>,
    /// What becomes of what is found.
    #[serde(default)]
    pub action: Action,
    /// For `mask`: what stands in its place.
    #[serde(default = "stars")]
    pub mask: String,
    /// For `mask`: so many of its last characters stay, half of them at the most.
    #[serde(default)]
    pub keep_last: usize,
    /// For `hash`: the key. Who does not have it cannot tell a value by trying.
    #[serde(default)]
    pub key: Option<SecretText>,
}

/// What becomes of what is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// `mask` stands in its place.
    #[default]
    Mask,
    /// Its HMAC-SHA-256 under `key`, as 64 hexadecimal digits: the same value is the same digits
    /// everywhere, so that records can still be counted and joined by it.
    Hash,
    /// It goes.
    Remove,
}

fn stars() -> String {
    crate::event::secret::MASK.into()
}

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        Ok(Box::new(Redact::new(self).map_err(Fault::fatal)?))
    }
}

struct Redact {
    detectors: Detectors,
    fields: Vec<String>,
    hiding: Hiding,
    /// Where the hits in the text at hand are.
    hits: Vec<(usize, usize)>,
    scratch: Vec<u8>,
}

enum Hiding {
    Mask { mask: Vec<u8>, keep_last: usize },
    Hash(SecretText),
    Remove,
}

impl Redact {
    fn new(config: &Config) -> Result<Self, String> {
        if config.patterns.is_empty() && config.regexes.is_empty() {
            return Err(
                "expected `patterns`, such as `patterns: [card, email]`, or `regexes`".into()
            );
        }
        let hiding = match (config.action, &config.key) {
            (Action::Hash, Some(key)) if key.expose().len() >= 6 => Hiding::Hash(key.clone()),
            (Action::Hash, _) => {
                return Err(
                    "`action: hash` needs a `key` of six characters or more, since a hash \
                            without one can be told by trying"
                        .into(),
                );
            }
            (_, Some(_)) => return Err("`key` goes with `action: hash` only".into()),
            (Action::Mask, None) => {
                Hiding::Mask { mask: config.mask.as_bytes().to_vec(), keep_last: config.keep_last }
            }
            (Action::Remove, None) => Hiding::Remove,
        };
        Ok(Self {
            detectors: Detectors::new(&config.patterns, &config.regexes)?,
            fields: config.fields.clone(),
            hiding,
            hits: Vec::new(),
            scratch: Vec::new(),
        })
    }

    fn wants(&self, name: &str) -> bool {
        self.fields.is_empty() || self.fields.iter().any(|field| field == name)
    }

    /// Whether one look at the whole chunk tells that there is nothing to hide.
    fn is_clean(&self, batch: &LogBatch) -> bool {
        let chunk = batch.chunk();
        if batch.is_plain() {
            return !self.wants("message") || self.detectors.finds_nothing_in_all(chunk);
        }
        // Values that were made on the way, or that are written with escapes, do not stand there
        // as they are.
        let stands_there = batch.bytes() == chunk.len() && memchr::memchr(b'\\', chunk).is_none();
        stands_there && self.detectors.finds_nothing_in_all(chunk)
    }

    fn record(&mut self, record: &RecordRef<'_>, writer: &mut FieldWriter<'_>) -> Verdict {
        let mut verdict = Verdict::Keep;
        for (name, value) in record.entries() {
            let changed = self.wants(name) && self.field(name, record.batch().value(value), writer);
            if changed {
                verdict = Verdict::Touched;
            } else {
                writer.push(name, value);
            }
        }
        verdict
    }

    /// Writes the field anew, where there is something to hide in it; says whether there is.
    fn field(&mut self, name: &str, value: FieldRef<'_>, writer: &mut FieldWriter<'_>) -> bool {
        match (value.as_text(), value) {
            (Some(text), _) => {
                let found = self.redact(&text);
                if found {
                    writer.push_text(name, &self.scratch);
                }
                found
            }
            (None, FieldRef::Json(raw @ ([b'{', ..] | [b'[', ..]))) => {
                if self.detectors.finds_nothing(raw) && memchr::memchr(b'\\', raw).is_none() {
                    return false;
                }
                let Ok(mut tree) = serde_json::from_slice::<Json>(raw) else { return false };
                let found = self.tree(&mut tree);
                if found {
                    writer.push_json(name, tree.to_string().as_bytes());
                }
                found
            }
            (None, FieldRef::Json([b'-' | b'0'..=b'9', ..]) | FieldRef::Int(_)) => {
                let mut digits = Vec::new();
                value.write_display(&mut digits);
                let found = self.redact(&digits);
                if found {
                    writer.push_text(name, &self.scratch);
                }
                found
            }
            _ => false,
        }
    }

    /// Hides what is in the values of an object or a list; says whether there was something.
    fn tree(&mut self, tree: &mut Json) -> bool {
        match tree {
            Json::Object(entries) => {
                entries.values_mut().fold(false, |found, value| self.tree(value) | found)
            }
            Json::Array(items) => {
                items.iter_mut().fold(false, |found, value| self.tree(value) | found)
            }
            Json::String(_) | Json::Number(_) => {
                let text = match &*tree {
                    Json::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let found = self.redact(text.as_bytes());
                if found {
                    *tree = Json::String(String::from_utf8_lossy(&self.scratch).into_owned());
                }
                found
            }
            Json::Null | Json::Bool(_) => false,
        }
    }

    /// Puts the text without what is to be hidden into `scratch`; says whether there was something.
    fn redact(&mut self, text: &[u8]) -> bool {
        self.hits.clear();
        self.detectors.find(text, &mut self.hits);
        if self.hits.is_empty() {
            return false;
        }
        self.hits.sort_unstable();
        self.scratch.clear();
        let mut at = 0;
        let mut hits = self.hits.iter().copied().peekable();
        while let Some((start, mut end)) = hits.next() {
            // What overlaps is one.
            while let Some((_, further)) = hits.next_if(|(next, _)| *next < end) {
                end = end.max(further);
            }
            self.scratch.extend_from_slice(&text[at..start]);
            self.hiding.write(&text[start..end], &mut self.scratch);
            at = end;
        }
        self.scratch.extend_from_slice(&text[at..]);
        true
    }
}

impl Hiding {
    fn write(&self, found: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Mask { mask, keep_last } => {
                out.extend_from_slice(mask);
                let mut from = found.len() - (*keep_last).min(found.len() / 2);
                // Not from within a character.
                while found.get(from).is_some_and(|byte| byte & 0xc0 == 0x80) {
                    from += 1;
                }
                out.extend_from_slice(&found[from..]);
            }
            Self::Hash(key) => {
                for byte in hmac::<Sha256>(key.expose().as_bytes(), found) {
                    out.extend(
                        [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]),
                    );
                }
            }
            Self::Remove => {}
        }
    }
}

impl Transform for Redact {
    fn transform(&mut self, mut batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        if let Batch::Logs(logs) = &mut batch
            && !self.is_clean(logs)
        {
            logs.rewrite(|record, writer| self.record(record, writer));
        }
        out.emit(batch);
        Ok(())
    }
}
