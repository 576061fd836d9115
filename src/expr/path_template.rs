//! Path templates: where a record goes, from its time, its origin and its fields.
//!
//! `/var/log/hosts/{{ host }}/%Y-%m-%d.log`. strftime codes stand in the literal text only and
//! mean the record's time in UTC. What stands in braces becomes one path component, whatever a
//! record says.

use crate::event::log::{Origin, RecordRef};
use crate::event::metric::Taken;
use chrono::DateTime;
use chrono::format::{Item, StrftimeItems};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// File systems allow 255 bytes in a name; the rest is for what stands around a value.
const LONGEST_VALUE_BYTES: usize = 200;

/// What stands for a value that is missing, empty, `.` or `..`.
const NO_VALUE: &[u8] = b"_";

const DAY: i64 = 86_400;

/// A path with places for a record's time, origin and fields.
#[derive(Clone, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    parts: Arc<[Part]>,
    /// Seconds during which the time codes say the same; `None` where there are none.
    period: Option<i64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Time(String),
    Host,
    Source,
    Field(String),
}

/// Renders a template for one record after another. Keeps the last result, so that the steady
/// state allocates nothing.
#[derive(Clone, Debug)]
pub struct PathRenderer {
    template: PathTemplate,
    /// The time codes' text, in order, for `slot`.
    times: Vec<String>,
    slot: Option<i64>,
    origin: Option<Arc<Origin>>,
    path: String,
    value: Vec<u8>,
}

impl PathTemplate {
    /// Compiles.
    ///
    /// # Errors
    /// What in the text is no path template, in a user's words.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("found an empty path, expected a path".to_owned());
        }
        let (mut parts, mut period) = (Vec::new(), None);
        let mut rest = text;
        while let Some((literal, behind)) = rest.split_once("{{") {
            literal_parts(literal, &mut parts, &mut period)?;
            let (inner, behind) = behind
                .split_once("}}")
                .ok_or_else(|| format!("`{text}` has `{{{{` without `}}}}`"))?;
            parts.push(variable(inner.trim().trim_matches('-').trim())?);
            rest = behind;
        }
        literal_parts(rest, &mut parts, &mut period)?;
        Ok(Self { text: text.to_owned(), parts: parts.into(), period })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path, where it is the same for every record.
    pub fn constant(&self) -> Option<&str> {
        match &*self.parts {
            [Part::Literal(path)] => Some(path),
            _ => None,
        }
    }

    /// Whether it reads the record's fields.
    pub fn reads_fields(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(_)))
    }

    /// A renderer.
    pub fn renderer(&self) -> PathRenderer {
        PathRenderer {
            template: self.clone(),
            times: Vec::new(),
            slot: None,
            origin: None,
            path: String::new(),
            value: Vec::new(),
        }
    }

    /// The stretch of time that this record belongs to: records of one stretch and one batch have
    /// the same path, unless it reads fields.
    pub fn slot(&self, time_ns: i64) -> i64 {
        self.period.map_or(0, |period| time_ns.div_euclid(1_000_000_000).div_euclid(period))
    }
}

/// Cuts literal text into plain text and time codes.
fn literal_parts(
    text: &str,
    parts: &mut Vec<Part>,
    period: &mut Option<i64>,
) -> Result<(), String> {
    if let Some(found) = ["{%", "{#", "}}"].iter().find(|mark| text.contains(**mark)) {
        return Err(format!("found `{found}` in a path, expected only `{{{{ NAME }}}}`"));
    }
    let (mut literal, mut has_time) = (String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        literal.push(char);
        if char != '%' {
            continue;
        }
        if let Some(flag) = chars.next_if(|flag| matches!(flag, '-' | '_' | '0')) {
            literal.push(flag);
        }
        let code = chars.next();
        literal.extend(code);
        let every = match code {
            Some('%') => None,
            Some('Y' | 'C' | 'y' | 'm' | 'b' | 'B' | 'h' | 'd' | 'e' | 'j' | 'F') => Some(DAY),
            Some('a' | 'A' | 'w' | 'u' | 'U' | 'W' | 'G' | 'g' | 'V') => Some(DAY),
            Some('H' | 'I' | 'k' | 'l' | 'p' | 'P') => Some(3600),
            Some('M' | 'R') => Some(60),
            Some('S' | 'T' | 's') => Some(1),
            Some(code) => {
                return Err(format!(
                    "`%{code}` is no time code for a path; there are %Y %m %d %H %M %S and the \
                     like, and `%%` for a percent sign"
                ));
            }
            None => return Err("a path ends with `%`; write `%%` for a percent sign".to_owned()),
        };
        if let Some(every) = every {
            *period = Some(period.map_or(every, |least: i64| least.min(every)));
        }
        has_time = true;
    }
    if has_time && StrftimeItems::new(&literal).any(|item| item == Item::Error) {
        return Err(format!("`{literal}` has a time code that nobody can spell out"));
    }
    match (literal.is_empty(), has_time) {
        (true, _) => {}
        (false, true) if !literal.replace("%%", "").contains('%') => {
            parts.push(Part::Literal(literal.replace("%%", "%")));
        }
        (false, true) => parts.push(Part::Time(literal)),
        (false, false) => parts.push(Part::Literal(literal)),
    }
    Ok(())
}

fn variable(inner: &str) -> Result<Part, String> {
    let is_name = |name: &str| {
        name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
            && name.starts_with(|char: char| !char.is_ascii_digit())
    };
    let root: String =
        inner.chars().take_while(|char| char.is_ascii_alphanumeric() || *char == '_').collect();
    match (inner, root.as_str()) {
        ("host", _) => Ok(Part::Host),
        ("source", _) => Ok(Part::Source),
        (_, "secrets") => Err(format!(
            "`{{{{ {inner} }}}}` stands in a path, and paths are shown in logs: a secret has no \
             place there"
        )),
        (_, "facts" | "vars") => Err(format!(
            "`{{{{ {inner} }}}}` stands in a path beside what is known only of each record; \
             give it another place, or leave the record's fields out of this path"
        )),
        _ if is_name(inner) => Ok(Part::Field(inner.to_owned())),
        _ => match record_field(inner) {
            Some(name) => Ok(Part::Field(name.to_owned())),
            None => Err(format!(
                "`{{{{ {inner} }}}}` is more than a path can compute; expected `host`, `source`, \
                 or the name of a field, which a `set` transform can make from the rest"
            )),
        },
    }
}

/// The name in `record['name']` or `record["name"]`.
fn record_field(inner: &str) -> Option<&str> {
    let quoted = inner.strip_prefix("record[")?.strip_suffix(']')?.trim();
    let name = ['\'', '"'].iter().find_map(|quote| {
        quoted.strip_prefix(*quote)?.strip_suffix(*quote).filter(|name| !name.contains(*quote))
    })?;
    (!name.is_empty()).then_some(name)
}

impl PathRenderer {
    /// The path of metrics that were taken then and there. They have no fields.
    pub fn render_metrics(&mut self, taken: &Taken) -> &str {
        self.slot = Some(self.template.slot(taken.time_ns));
        self.spell_times(taken.time_ns);
        // What comes next from a record's origin is spelled anew.
        self.origin = None;
        self.spell(&taken.host, &taken.source, None);
        &self.path
    }

    /// The record's path.
    pub fn render(&mut self, record: &RecordRef<'_>) -> &str {
        let slot = self.template.slot(record.time_ns());
        let origin = &record.batch().origin;
        let same_origin = self.origin.as_ref().is_some_and(|known| Arc::ptr_eq(known, origin));
        let same_slot = self.slot == Some(slot);
        if same_slot && same_origin && !self.template.reads_fields() {
            return &self.path;
        }
        if !same_slot {
            self.slot = Some(slot);
            self.spell_times(record.time_ns());
        }
        if !same_origin {
            self.origin = Some(Arc::clone(origin));
        }
        self.spell(&origin.host, &origin.source, Some(record));
        &self.path
    }

    fn spell(&mut self, host: &str, source: &str, record: Option<&RecordRef<'_>>) {
        self.path.clear();
        let mut times = self.times.iter();
        for part in &*self.template.parts {
            match part {
                Part::Literal(text) => self.path.push_str(text),
                Part::Time(_) => self.path.push_str(times.next().map_or("", |time| time)),
                Part::Host => push_component(&mut self.path, host.as_bytes()),
                Part::Source => push_component(&mut self.path, source.as_bytes()),
                Part::Field(name) => {
                    self.value.clear();
                    if let Some(field) = record.and_then(|record| record.get(name)) {
                        field.write_display(&mut self.value);
                    }
                    push_component(&mut self.path, &self.value);
                }
            }
        }
    }

    fn spell_times(&mut self, time_ns: i64) {
        let time = DateTime::from_timestamp_nanos(time_ns);
        self.times.clear();
        for part in &*self.template.parts {
            if let Part::Time(format) = part {
                let mut text = String::new();
                // The codes were checked when the template was compiled.
                write!(text, "{}", time.format(format)).ok();
                self.times.push(text);
            }
        }
    }
}

/// Appends a value as one path component.
fn push_component(path: &mut String, value: &[u8]) {
    let value = match value {
        b"" | b"." | b".." => NO_VALUE,
        value => value,
    };
    let end = path.len() + LONGEST_VALUE_BYTES;
    for char in value.utf8_chunks().flat_map(|chunk| {
        let replacement = if chunk.invalid().is_empty() { None } else { Some('\u{fffd}') };
        chunk.valid().chars().chain(replacement)
    }) {
        if path.len() + char.len_utf8() > end {
            break;
        }
        path.push(if char == '/' || char.is_control() { '_' } else { char });
    }
}

impl fmt::Debug for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<'de> Deserialize<'de> for PathTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

impl JsonSchema for PathTemplate {
    fn schema_name() -> Cow<'static, str> {
        "PathTemplate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "a path; `%Y-%m-%d` and other time codes mean the record's time in \
                            UTC, `{{ host }}`, `{{ source }}` and `{{ FIELD }}` one component each",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::{LogBatch, Verdict};
    use bytes::Bytes;

    fn batch(line: &str, fields: &[(&str, &str)], time_ns: i64) -> LogBatch {
        let origin = Origin {
            source: "logs.app".into(),
            host: "web/1".into(),
            path: Some("/a".into()),
            ..Origin::default()
        };
        let chunk = Bytes::copy_from_slice(line.as_bytes());
        let mut batch = LogBatch::from_lines(&chunk, Arc::new(origin), 0, 0);
        batch.rewrite(|_, writer| {
            for (name, value) in fields {
                writer.push_text(name, value.as_bytes());
            }
            writer.set_time_ns(time_ns);
            Verdict::Touched
        });
        batch
    }

    fn render(template: &str, fields: &[(&str, &str)], time_ns: i64) -> String {
        let batch = batch("x\n", fields, time_ns);
        let mut renderer = PathTemplate::new(template).unwrap().renderer();
        let record = batch.records().next().unwrap();
        renderer.render(&record).to_owned()
    }

    #[test]
    fn times_and_fields_stand_where_the_template_says() {
        let noon = 1_709_208_000_000_000_000;
        assert_eq!(
            render("/l/{{ host }}/{{source}}/%Y/%m-%d/{{ app }}-%H.log", &[("app", "api")], noon),
            "/l/web_1/logs.app/2024/02-29/api-12.log"
        );
        assert_eq!(render("/100%%/{{ record['a b'] }}", &[("a b", "%Y")], noon), "/100%/%Y");
    }

    #[test]
    fn no_value_leads_out_of_its_place_in_the_path() {
        for (value, expected) in [
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("..", "_"),
            (".", "_"),
            ("", "_"),
            ("a\0b\nc", "a_b_c"),
        ] {
            assert_eq!(render("/l/{{ app }}/x", &[("app", value)], 0), format!("/l/{expected}/x"));
        }
        assert_eq!(render("/l/{{ missing }}", &[], 0), "/l/_");
        assert!(render("{{ app }}", &[("app", &"é".repeat(500))], 0).len() <= 255);
    }

    #[test]
    fn a_renderer_follows_the_time_of_each_record() {
        let template = PathTemplate::new("%H:%M").unwrap();
        let mut renderer = template.renderer();
        let paths: Vec<String> = [0, 59, 60, 3600, 0]
            .into_iter()
            .map(|seconds| {
                let batch = batch("x", &[], seconds * 1_000_000_000);
                let record = batch.records().next().unwrap();
                renderer.render(&record).to_owned()
            })
            .collect();
        assert_eq!(paths, ["00:00", "00:00", "00:01", "01:00", "00:00"]);
    }

    #[test]
    fn what_a_path_cannot_say_is_refused_with_the_reason() {
        for (template, reason) in [
            ("", "empty"),
            ("/a/%Q", "no time code"),
            ("/a%", "percent sign"),
            ("/{{ secrets.TOKEN }}", "no place there"),
            ("/{{ vars.dir }}/{{ app }}", "known only of each record"),
            ("/{{ app | lower }}", "more than a path can compute"),
            ("/{{ app", "without `}}`"),
            ("/{% if x %}", "expected only"),
        ] {
            let refusal = PathTemplate::new(template).unwrap_err();
            assert!(refusal.contains(reason), "{template}: {refusal}");
        }
    }
}
