//! One page of the reference: a JSON Schema, or the command line's help, as Markdown.

use super::add;
use serde_json::Value;

/// A page.
pub(super) struct Page {
    /// Folder and name: `sources/file`.
    pub(super) path: String,
    /// One sentence.
    pub(super) summary: String,
    /// All of it, in Markdown.
    pub(super) text: String,
    /// Settings that nobody has described.
    pub(super) undescribed: Vec<String>,
}

impl Page {
    pub(super) fn folder(&self) -> &str {
        self.path.split_once('/').map_or("", |(folder, _)| folder)
    }

    pub(super) fn name(&self) -> &str {
        self.path.split_once('/').map_or(&self.path, |(_, name)| name)
    }

    pub(super) fn is_named(&self, wanted: &str) -> bool {
        self.path == wanted || self.name() == wanted
    }
}

/// The page of something that is read from a config: what it is for, and its settings.
pub(super) fn schema_page(path: &str, title: &str, schema: &Value, root: &Value) -> Page {
    let about = description(schema);
    let summary = about.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let mut page = Page {
        path: path.to_owned(),
        summary,
        text: format!("# {title}\n\n{about}\n"),
        undescribed: Vec::new(),
    };
    let settings = Settings { root };
    if settings.fields(schema).next().is_some() {
        page.text.push_str("\n## Settings\n");
        settings.write(schema, "", &mut page);
    }
    page
}

/// The page of all commands, as `--help` shows them.
pub(super) fn command_page(path: &str, command: clap::Command) -> Page {
    let mut command = command.term_width(90);
    command.build();
    let mut page = Page {
        path: path.to_owned(),
        summary: "Every command with its options.".to_owned(),
        text: "# The command line\n".to_owned(),
        undescribed: Vec::new(),
    };
    write_help(&mut command, "", &mut page.text);
    page
}

fn write_help(command: &mut clap::Command, parent: &str, text: &mut String) {
    let name = format!("{parent}{}", command.get_name());
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    add(text, format_args!("\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
        write_help(inner, &format!("{name} "), text);
    }
}

fn description(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

struct Settings<'s> {
    /// Has the definitions that schemas refer to.
    root: &'s Value,
}

impl<'s> Settings<'s> {
    /// Each setting of an object, but for `type`, which the page's title says.
    fn fields(&self, schema: &'s Value) -> impl Iterator<Item = (&'s String, &'s Value)> {
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().filter(|(_, field)| field.get("const").is_none())
    }

    fn write(&self, schema: &'s Value, prefix: &str, page: &mut Page) {
        let required = schema.get("required").and_then(Value::as_array);
        for (name, field) in self.fields(schema) {
            let full = format!("{prefix}{name}");
            let is_required =
                required.is_some_and(|names| names.iter().any(|other| other == name.as_str()));
            let presence = match field.get("default") {
                _ if is_required => ", required".to_owned(),
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => format!(", default `{text}`"),
                Some(Value::Array(list)) if list.is_empty() => String::new(),
                Some(Value::Object(map)) if !map.is_empty() => String::new(),
                Some(default) => format!(", default `{default}`"),
            };
            let kind = self.kind(field);
            add(&mut page.text, format_args!("\n### `{full}`\n\n*{kind}{presence}*\n"));
            match description(field) {
                "" => page.undescribed.push(full.clone()),
                about => add(&mut page.text, format_args!("\n{about}\n")),
            }
            self.write_choices(field, page);
            let inner = self.resolve(field);
            // "A word, or all of this": what is referred to is shown.
            let long = self.variants(inner).filter(|one| one.get("$ref").is_some());
            for inner in std::iter::once(inner).chain(long.map(|one| self.resolve(one))) {
                if inner.get("properties").is_some() {
                    self.write(inner, &format!("{full}."), page);
                }
                let item = inner.get("items").map(|items| self.resolve(items));
                if let Some(item) = item.filter(|item| item.get("properties").is_some()) {
                    self.write(item, &format!("{full}[]."), page);
                }
            }
        }
    }

    /// What each word means, where a setting is one of several.
    fn write_choices(&self, field: &'s Value, page: &mut Page) {
        let choices = self.variants(self.resolve(field));
        let described: Vec<_> = choices
            .filter(|choice| !description(choice).is_empty())
            .filter_map(|choice| Some((choice.get("const")?.as_str()?, description(choice))))
            .collect();
        for (at, (word, about)) in described.iter().enumerate() {
            let gap = if at == 0 { "\n" } else { "" };
            add(&mut page.text, format_args!("{gap}- `{word}`: {}\n", about.replace('\n', " ")));
        }
    }

    /// Follows references, and looks through "this or nothing".
    fn resolve(&self, schema: &'s Value) -> &'s Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some(found) = reference.and_then(|r| self.root.pointer(r.trim_start_matches('#'))) {
            return self.resolve(found);
        }
        let mut some = self.variants(schema).filter(|one| !is_null(one));
        match (some.next(), some.next()) {
            (Some(only), None) if only.get("const").is_none() => self.resolve(only),
            _ => schema,
        }
    }

    fn variants(&self, schema: &'s Value) -> impl Iterator<Item = &'s Value> {
        let variants = schema.get("oneOf").or_else(|| schema.get("anyOf"));
        variants.and_then(Value::as_array).into_iter().flatten()
    }

    /// What may stand there, in words.
    fn kind(&self, schema: &'s Value) -> String {
        let schema = self.resolve(schema);
        if schema.get("pattern").is_some() {
            return description(schema).to_owned();
        }
        if let Some(word) = schema.get("const") {
            return format!("`{}`", word.as_str().map_or_else(|| word.to_string(), str::to_owned));
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let words = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`"));
            return words.collect::<Vec<_>>().join(" or ");
        }
        let variants: Vec<String> =
            self.variants(schema).filter(|one| !is_null(one)).map(|one| self.kind(one)).collect();
        if !variants.is_empty() {
            let mut distinct: Vec<&str> = Vec::new();
            for variant in &variants {
                if !distinct.contains(&variant.as_str()) {
                    distinct.push(variant);
                }
            }
            return distinct.join(" or ");
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let words: Vec<String> = types
            .into_iter()
            .filter(|name| *name != "null")
            .map(|name| match name {
                "string" => "text".to_owned(),
                "integer" | "number" => "number".to_owned(),
                "boolean" => "true or false".to_owned(),
                "array" => match schema.get("items") {
                    Some(items) => format!("list of {}", self.kind(items)),
                    None => "list".to_owned(),
                },
                _ => self.kind_of_object(schema),
            })
            .collect();
        if words.is_empty() { "any value".to_owned() } else { words.join(" or ") }
    }

    fn kind_of_object(&self, schema: &'s Value) -> String {
        match schema.get("additionalProperties") {
            Some(inner @ Value::Object(_)) if inner.pointer("/oneOf/0/properties").is_some() => {
                "names with components".to_owned()
            }
            Some(inner @ Value::Object(_)) if inner.get("oneOf").is_none() => {
                format!("names with {}", self.kind(inner))
            }
            _ => "mapping".to_owned(),
        }
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null")
}
