//! To and from JSON and YAML, in the way Python writes them.

use super::{yaml, yaml_read};
use crate::expr::call::{Call, Callable};
use crate::expr::value::{from_json, python_float, to_json};
use minijinja::Error;
use minijinja::value::{Value, ValueKind};
use serde_json::Value as Json;

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["to_json"],
        "indent=none, sort_keys=false, ensure_ascii=true, separators=none, **options",
        |call| {
            let indent =
                call.get("indent").is_some().then(|| call.count("indent", 0)).transpose()?;
            json(call, indent, false)
        },
        "The value as JSON.",
        "{'a': 1} | to_json → '{\"a\": 1}'",
    )
    .derives(),
    Callable::new(
        &["to_nice_json"],
        "indent=4, sort_keys=true, ensure_ascii=true, separators=none, **options",
        |call| {
            let indent = call.count("indent", 4)?;
            json(call, Some(indent), true)
        },
        "The value as JSON for people: indented and sorted.",
        "{'a': 1} | to_nice_json",
    )
    .derives(),
    Callable::new(
        &["from_json"],
        "**options",
        |call| {
            let json = serde_json::from_str(&call.value.to_string());
            let json = json.map_err(|e| call.wrong(format!("takes JSON: {e}")))?;
            Ok(from_json(&json))
        },
        "The value that some JSON stands for.",
        "'[1, 2]' | from_json → [1, 2]",
    ),
    Callable::new(
        &["to_yaml"],
        "indent=2, default_flow_style=none, width=80, sort_keys=true, **options",
        |call| to_yaml(call, 2, yaml::Style::Leaves),
        "The value as YAML; what holds nothing but scalars stands in one line.",
        "{'a': [1, 2]} | to_yaml → 'a: [1, 2]\\n'",
    )
    .derives(),
    Callable::new(
        &["to_nice_yaml"],
        "indent=4, default_flow_style=false, width=80, sort_keys=true, **options",
        |call| to_yaml(call, 4, yaml::Style::Block),
        "The value as YAML for people: each item in a line of its own.",
        "{'a': [1]} | to_nice_yaml → 'a:\\n- 1\\n'",
    )
    .derives(),
    Callable::new(
        &["from_yaml"],
        "",
        |call| {
            let mut documents = documents(call)?;
            match documents.len() {
                0 => Ok(Value::from(())),
                1 => Ok(documents.remove(0)),
                count => Err(call.wrong(format!(
                    "takes one document, and this has {count}: use `from_yaml_all`"
                ))),
            }
        },
        "The value that some YAML stands for.",
        "'a: [1, yes]' | from_yaml → {'a': [1, true]}",
    ),
    Callable::new(
        &["from_yaml_all"],
        "",
        |call| match call.value.kind() {
            ValueKind::None => Ok(Vec::<Value>::new().into()),
            ValueKind::String => Ok(documents(call)?.into()),
            _ => Ok(call.value.clone()),
        },
        "The values of all documents of some YAML.",
        "'a\\n---\\nb' | from_yaml_all → ['a', 'b']",
    ),
];

fn documents(call: &Call<'_, '_, '_>) -> Result<Vec<Value>, Error> {
    let Some(text) = call.value.as_str() else { return Ok(vec![call.value.clone()]) };
    yaml_read::read(text).map_err(|why| call.wrong(format!("takes YAML: {why}")))
}

fn to_yaml(call: &Call<'_, '_, '_>, indent: usize, style: yaml::Style) -> Result<Value, Error> {
    let indent = call.count("indent", indent)?;
    let style = match call.given.get("default_flow_style") {
        Some(value) if value.is_none() => yaml::Style::Leaves,
        Some(value) if value.is_true() => yaml::Style::Flow,
        Some(_) => yaml::Style::Block,
        None => style,
    };
    let layout = yaml::Layout {
        // What PyYAML does with an indent that makes no sense.
        indent: if (2..10).contains(&indent) { indent } else { 2 },
        width: call.count("width", 80)?,
        style,
        sorted: call.flag("sort_keys", true),
    };
    Ok(yaml::write(&call.value, layout).into())
}

/// The value as JSON, as `to_json` lays it out: with a blank behind each comma and colon.
pub fn json_text(value: &Value) -> String {
    let (between, after_key) = (", ".to_owned(), ": ".to_owned());
    let layout = Layout { indent: None, between, after_key, ascii: true };
    let mut out = String::new();
    layout.write(&to_json(value), 0, &mut out);
    out
}

/// How JSON is laid out.
struct Layout {
    indent: Option<usize>,
    between: String,
    after_key: String,
    ascii: bool,
}

fn json(call: &Call<'_, '_, '_>, indent: Option<usize>, sorted: bool) -> Result<Value, Error> {
    if indent.is_some_and(|indent| indent > 64) {
        return Err(call.wrong("takes an indent of up to 64"));
    }
    let mut json = to_json(&call.value);
    if call.flag("sort_keys", sorted) {
        json.sort_all_objects();
    }
    let (mut between, mut after_key) = match indent {
        Some(_) => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
    };
    if let Some(separators) = call.get("separators") {
        let both: Vec<Value> = separators.try_iter()?.collect();
        let [a, b] = &both[..] else { return Err(call.wrong("takes two separators")) };
        (between, after_key) = (a.to_string(), b.to_string());
    }
    let layout = Layout { indent, between, after_key, ascii: call.flag("ensure_ascii", true) };
    let mut out = String::new();
    layout.write(&json, 0, &mut out);
    Ok(out.into())
}

impl Layout {
    fn write(&self, json: &Json, depth: usize, out: &mut String) {
        match json {
            Json::Array(items) if items.is_empty() => out.push_str("[]"),
            Json::Object(entries) if entries.is_empty() => out.push_str("{}"),
            Json::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.begin(at, depth + 1, out);
                    self.write(item, depth + 1, out);
                }
                self.line(depth, out);
                out.push(']');
            }
            Json::Object(entries) => {
                out.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    self.begin(at, depth + 1, out);
                    self.text(key, out);
                    out.push_str(&self.after_key);
                    self.write(value, depth + 1, out);
                }
                self.line(depth, out);
                out.push('}');
            }
            Json::String(text) => self.text(text, out),
            Json::Number(number) if number.is_f64() => {
                out.push_str(&python_float(number.as_f64().unwrap_or(f64::NAN)));
            }
            scalar => out.push_str(&scalar.to_string()),
        }
    }

    fn begin(&self, at: usize, depth: usize, out: &mut String) {
        out.push_str(if at == 0 { "" } else { &self.between });
        self.line(depth, out);
    }

    fn line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent * depth));
        }
    }

    fn text(&self, text: &str, out: &mut String) {
        let quoted = Json::from(text).to_string();
        if !self.ascii || quoted.is_ascii() {
            out.push_str(&quoted);
            return;
        }
        for c in quoted.chars() {
            if c.is_ascii() {
                out.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}
