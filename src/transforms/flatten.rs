//! `flatten`: makes fields of what is nested.

use crate::event::log::{FieldRef, FieldWriter, RecordRef, Verdict};
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Outputs, Transform, TransformConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Makes fields of the entries of nested objects: `{"http": {"status": 200}}` becomes
/// `{"http.status": 200}`. A record without nested objects stays as it was read.
///
/// ```yaml
/// flat: {type: flatten, inputs: [parsed]}
/// shallow: {type: flatten, fields: [kubernetes], separator: _, depth: 1, lists: index, inputs: [parsed]}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The fields to flatten. Without any all are.
    #[serde(default)]
    pub fields: Vec<String>,
    /// What stands between the names.
    #[serde(default = "dot")]
    pub separator: String,
    /// How many levels to open; what is nested more deeply stays as it is. Without it all of them,
    /// up to 64.
    #[serde(default)]
    pub depth: Option<u32>,
    /// What becomes of lists.
    #[serde(default)]
    pub lists: Lists,
}

/// What becomes of lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lists {
    /// They stay as they are.
    #[default]
    Keep,
    /// Their items become fields too, named by their number from 0: `tags.0`.
    Index,
}

fn dot() -> String {
    ".".into()
}

/// Deeper than this nobody nests on purpose.
const DEEPEST: u32 = 64;

impl TransformConfig for Config {
    fn takes(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>, Fault> {
        if self.depth == Some(0) {
            return Err(Fault::fatal("`depth` is 0, so that nothing would be opened"));
        }
        Ok(Box::new(Flatten { config: self.clone(), name: String::new() }))
    }
}

struct Flatten {
    config: Config,
    /// The name of the field at hand; used again for every one.
    name: String,
}

impl Flatten {
    fn opens(&self, name: &str, value: FieldRef<'_>) -> bool {
        let wanted =
            self.config.fields.is_empty() || self.config.fields.iter().any(|it| it == name);
        wanted && matches!(value, FieldRef::Json(raw) if is_nested(raw, self.config.lists))
    }

    fn record(&mut self, record: &RecordRef<'_>, writer: &mut FieldWriter<'_>) -> Verdict {
        if !record.fields().any(|(name, value)| self.opens(name, value)) {
            return Verdict::Keep;
        }
        for (name, value) in record.entries() {
            match record.batch().value(value) {
                FieldRef::Json(raw) if self.opens(name, FieldRef::Json(raw)) => {
                    self.name.clear();
                    self.name.push_str(name);
                    let mut opening = Opening {
                        config: &self.config,
                        name: &mut self.name,
                        record,
                        writer,
                        depth: 0,
                    };
                    opening.value(raw);
                }
                _ => writer.push(name, value),
            }
        }
        Verdict::Touched
    }
}

/// Whether it is an object or a list with something in it.
fn is_nested(raw: &[u8], lists: Lists) -> bool {
    let (([b'{', inner @ .., b'}'], _) | ([b'[', inner @ .., b']'], Lists::Index)) = (raw, lists)
    else {
        return false;
    };
    // What is empty stays, or there would be no trace of it.
    !inner.iter().all(u8::is_ascii_whitespace)
}

struct Opening<'o, 'b, 'w> {
    config: &'o Config,
    name: &'o mut String,
    record: &'o RecordRef<'b>,
    writer: &'o mut FieldWriter<'w>,
    depth: u32,
}

impl Opening<'_, '_, '_> {
    fn value(&mut self, raw: &[u8]) {
        let deepest = self.config.depth.unwrap_or(DEEPEST);
        if self.depth >= deepest || !is_nested(raw, self.config.lists) {
            if self.record.holds(raw) {
                self.writer.push(self.name, self.record.json_at(raw));
            } else {
                self.writer.push_json(self.name, raw);
            }
            return;
        }
        self.depth += 1;
        let mut json = serde_json::Deserializer::from_slice(raw);
        // It is known to be valid. Bytes that are not UTF-8 are the exception: then what could not
        // be read stays away.
        if json.deserialize_any(&mut *self).is_err() {
            self.writer.push_json(self.name, raw);
        }
        self.depth -= 1;
    }

    fn inner(&mut self, name: &str, raw: &RawValue) {
        let before = self.name.len();
        self.name.push_str(&self.config.separator);
        self.name.push_str(name);
        self.value(raw.get().as_bytes());
        self.name.truncate(before);
    }
}

impl<'de> Visitor<'de> for &mut Opening<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, raw)) = map.next_entry::<Name<'de>, &RawValue>()? {
            self.inner(&name.0, raw);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut at = 0usize;
        while let Some(raw) = list.next_element::<&RawValue>()? {
            self.inner(itoa::Buffer::new().format(at), raw);
            at += 1;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// A name, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl Transform for Flatten {
    fn transform(&mut self, mut batch: Batch, out: &mut Outputs) -> Result<(), Fault> {
        if let Batch::Logs(logs) = &mut batch {
            // Lines that nothing has parsed have no nested fields, and need not be cut.
            if !logs.is_plain() {
                logs.rewrite(|record, writer| self.record(record, writer));
            }
        }
        out.emit(batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::LogBatch;
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};
    use std::sync::Arc;

    /// The record whose one field `f` has this value.
    fn flat(yaml: &str, value: &[u8]) -> (Json, bool) {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let mut chunk = value.to_vec();
        chunk.push(b'\n');
        let chunk = Bytes::from(chunk);
        let mut batch = LogBatch::from_lines(&chunk, Arc::default(), 0, 0);
        batch.rewrite(|record, writer| {
            writer.push("f", record.json_at(record.raw()));
            Verdict::Parsed
        });
        let mut flatten = Flatten { config, name: String::new() };
        let mut out = Outputs::default();
        flatten.transform(Batch::Logs(batch), &mut out).unwrap();
        let (_, Batch::Logs(batch)) = out.take().0.remove(0) else { panic!("no logs") };
        let record = batch.records().next().unwrap();
        let fields = record.fields().map(|(name, value)| (name.to_owned(), value.to_json()));
        (Json::Object(fields.collect()), record.is_untouched())
    }

    const NESTED: &[u8] =
        br#"{"a": {"b": 1, "c": {"d": "x", "e": {}}}, "g": [1, {"h": 2}], "\u0041": null}"#;

    #[test]
    fn entries_become_fields_down_to_the_depth_asked_for() {
        let all =
            json!({"f.a.b": 1, "f.a.c.d": "x", "f.a.c.e": {}, "f.g": [1, {"h": 2}], "f.A": null});
        assert_eq!(flat("{}", NESTED), (all, false));
        let one =
            json!({"f_a": {"b": 1, "c": {"d": "x", "e": {}}}, "f_g": [1, {"h": 2}], "f_A": null});
        assert_eq!(flat("{depth: 1, separator: _}", NESTED).0, one);
        let lists = json!({"f.0": 1, "f.1.a": 2});
        assert_eq!(flat("lists: index", br#"[1, {"a": 2}]"#).0, lists);
    }

    #[test]
    fn what_has_nothing_nested_stays_as_it_was_read() {
        for value in [&b"1"[..], b"{}", b"{ }", br#""{}""#, b"[1, 2]"] {
            assert!(flat("{}", value).1, "{value:?}");
        }
        assert!(flat("fields: [other]", NESTED).1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(inner in proptest::collection::vec(any::<u8>(), 0..40)) {
            let line: Vec<u8> = inner.into_iter().filter(|byte| *byte != b'\n').collect();
            flat("lists: index", &[b"{", line.as_slice(), b"}"].concat());
        }
    }
}
