//! Filters on text, and on values of any kind.

use crate::expr::call::{Call, Callable, refuse_undefined, wrong};
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};
use std::fmt::Write as _;

pub(super) const VALUES: &[Callable] = &[
    Callable::new(
        &["default", "d"],
        "default_value='', boolean=false",
        default,
        "The value, or another where it is not defined; with `boolean` also where it counts as false.",
        "nope | default('x') → 'x'",
    )
    .lenient(),
    Callable::new(
        &["mandatory"],
        "msg=none",
        mandatory,
        "The value; an error with `msg` where it is not defined.",
        "port | mandatory('say which port')",
    )
    .lenient(),
    Callable::new(
        &["bool"],
        "",
        truth,
        "Whether a value means yes: `true`, `yes`, `on`, `y`, `t` and `1` do.",
        "'yes' | bool → true",
    ),
    Callable::new(
        &["ternary"],
        "true_val, false_val, none_val=none",
        ternary,
        "One value where the condition is true, another where it is false.",
        "(2 > 1) | ternary('a', 'b') → 'a'",
    )
    .lenient(),
    Callable::new(
        &["type_debug"],
        "",
        |call| Ok(type_name(&call.value).into()),
        "The name of the value's type, as Python has it.",
        "[1] | type_debug → 'list'",
    ),
    Callable::new(
        &["vault", "unvault"],
        "*arguments, **options",
        |call| {
            Err(call.wrong(
                "is not there: secrets come from the environment or a secrets file, and are \
                 written `{{ secrets.NAME }}`",
            ))
        },
        "Not supported: secrets are `{{ secrets.NAME }}`.",
        "secrets.DB_PASSWORD",
    ),
];

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["quote"],
        "",
        |call| match call.value.is_none() {
            true => Ok("''".into()),
            false => Ok(quote(&call.value.to_string()).into()),
        },
        "One word for a POSIX shell.",
        "'a b' | quote → \"'a b'\"",
    )
    .derives(),
    Callable::new(
        &["comment"],
        "style='plain', newline=none, beginning=none, prefix=none, prefix_count=1, \
         decoration=none, postfix=none, postfix_count=1, end=none",
        comment,
        "A comment in the style `plain`, `c`, `cblock`, `erlang` or `xml`, or one of your own.",
        "'hi' | comment('c') → '//\\n// hi\\n//'",
    ),
    Callable::new(
        &["split"],
        "separator=none, maxsplit=-1",
        |call| {
            let args: Vec<Value> = ["separator", "maxsplit"]
                .iter()
                .map(|name| call.given.get(*name).cloned().unwrap_or_else(|| Value::from(())))
                .collect();
            crate::expr::methods::call(call.state, &call.value, "split", &args)
        },
        "The parts of a text between blanks, or between separators.",
        "'a,b' | split(',') → ['a', 'b']",
    ),
    Callable::new(
        &["center"],
        "width=80",
        |call| {
            let text = call.value.to_string();
            let free = call.count("width", 80)?.saturating_sub(text.chars().count());
            let (left, right) = (" ".repeat(free / 2), " ".repeat(free - free / 2));
            Ok(format!("{left}{text}{right}").into())
        },
        "The text in the middle of so many columns.",
        "'a' | center(3) → ' a '",
    ),
    Callable::new(
        &["truncate"],
        "length=255, killwords=false, end='...', leeway=5",
        truncate,
        "The beginning of a text, cut at a word's end unless `killwords`.",
        "'one two three' | truncate(9, leeway=0) → 'one...'",
    ),
    Callable::new(
        &["wordwrap"],
        "width=79, break_long_words=true, wrapstring=none, break_on_hyphens=true",
        wordwrap,
        "The text in lines of up to `width` characters.",
        "'one two' | wordwrap(4) → 'one\\ntwo'",
    ),
    Callable::new(
        &["wordcount"],
        "",
        |call| {
            let text = call.value.to_string();
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            Ok(text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).count().into())
        },
        "How many words a text has.",
        "'one two' | wordcount → 2",
    ),
    Callable::new(
        &["striptags"],
        "",
        striptags,
        "The text of an XML or HTML fragment, without tags and comments.",
        "'<b>a</b>  c' | striptags → 'a c'",
    ),
    Callable::new(
        &["urlize"],
        "trim_url_limit=none, nofollow=false, target=none, rel=none, extra_schemes=none",
        super::links::urlize,
        "The text as HTML, with links in place of its addresses.",
        "'see a.org' | urlize → 'see <a href=\"https://a.org\" rel=\"noopener\">a.org</a>'",
    ),
    Callable::new(
        &["xmlattr"],
        "autospace=true",
        xmlattr,
        "Attributes of an XML tag from a mapping; what is null is left out.",
        "{'id': 'a'} | xmlattr → ' id=\"a\"'",
    ),
];

fn default(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let is_there = match call.value.is_undefined() {
        true => false,
        false => !call.flag("boolean", false) || call.value.is_true(),
    };
    if is_there {
        return Ok(call.value.clone());
    }
    Ok(call.given.get("default_value").cloned().unwrap_or_else(|| "".into()))
}

fn mandatory(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    if !call.value.is_undefined() {
        return Ok(call.value.clone());
    }
    match call.text("msg") {
        Some(message) => Err(wrong(message)),
        None => {
            let named = call.value.get_attr("").err();
            Err(named.unwrap_or_else(|| ErrorKind::UndefinedError.into()))
        }
    }
}

/// Ansible's reading of truth: the words that mean yes, and nothing else.
fn truth(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let words = ["yes", "true", "on", "1", "y", "t"];
    Ok(match (call.value.as_str(), call.value.kind()) {
        (Some(text), _) => words.contains(&text.to_ascii_lowercase().as_str()),
        (None, ValueKind::Bool) => call.value.is_true(),
        _ => call.value == Value::from(1),
    }
    .into())
}

fn ternary(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    // What is not chosen need not be defined.
    refuse_undefined(&call.value)?;
    if let (true, Some(none)) = (call.value.is_none(), call.get("none_val")) {
        return Ok(none.clone());
    }
    call.need(if call.value.is_true() { "true_val" } else { "false_val" }).cloned()
}

/// What Python calls the type.
fn type_name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "Undefined",
        ValueKind::None => "NoneType",
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Bytes => "bytes",
        ValueKind::Seq if value.is_tuple() => "tuple",
        ValueKind::Seq | ValueKind::Iterable => "list",
        ValueKind::Map => "dict",
        _ => "object",
    }
}

/// One word for a POSIX shell.
pub(super) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "@%_-+=:,./".contains(c);
    if !text.is_empty() && text.chars().all(|c| c.is_ascii() && plain(c)) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn comment(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let style = call.text("style").unwrap_or_else(|| "plain".into());
    let (first, each, last) = match style.as_str() {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        other => {
            let known = "plain, c, cblock, erlang or xml";
            return Err(call.wrong(format!("knows no style `{other}`; it knows {known}")));
        }
    };
    let part =
        |name: &str, otherwise: &str| call.text(name).unwrap_or_else(|| otherwise.to_owned());
    let newline = part("newline", "\n");
    let decoration = part("decoration", each);
    let around = decoration.trim_end();
    let (prefix, postfix) = (part("prefix", around), part("postfix", around));
    let (prefixes, postfixes) = (call.count("prefix_count", 1)?, call.count("postfix_count", 1)?);
    let (first, last) = (part("beginning", first), part("end", last));
    let written = prefix.len().saturating_mul(prefixes) + postfix.len().saturating_mul(postfixes);
    call.state.consume_fuel(written as u64)?;

    let mut out = String::new();
    if !first.is_empty() {
        out.extend([first.as_str(), &newline]);
    }
    if !prefix.is_empty() {
        let line = if prefix == newline { newline.clone() } else { format!("{prefix}{newline}") };
        out.push_str(&line.repeat(prefixes));
    }
    let text = call.value.to_string();
    let text = format!("{decoration}{}", text.replace(&newline, &format!("{newline}{decoration}")));
    let empty = format!("{decoration}{newline}");
    out.push_str(&text.replace(&empty, &format!("{}{newline}", decoration.trim_end())));
    for _ in 0..postfixes {
        out.extend([newline.as_str(), &postfix]);
    }
    if !last.is_empty() {
        out.extend([newline.as_str(), &last]);
    }
    Ok(out.into())
}

fn truncate(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let text = call.value.to_string();
    let (length, leeway) = (call.count("length", 255)?, call.count("leeway", 5)?);
    let end = call.text("end").unwrap_or_else(|| "...".into());
    let room = length.checked_sub(end.chars().count());
    let room = room.ok_or_else(|| call.wrong("takes a `length` of at least that of `end`"))?;
    if text.chars().count() <= length + leeway {
        return Ok(text.into());
    }
    let cut: String = text.chars().take(room).collect();
    if call.flag("killwords", false) {
        return Ok((cut + &end).into());
    }
    let whole = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    Ok(format!("{whole}{end}").into())
}

fn wordwrap(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let width = call.count("width", 79)?.max(1);
    let breaks = call.flag("break_long_words", true);
    let newline = call.text("wrapstring").unwrap_or_else(|| "\n".into());
    let text = call.value.to_string();
    let wrapped = text.lines().map(|line| wrap(line, width, breaks).join(&newline));
    Ok(wrapped.collect::<Vec<_>>().join(&newline).into())
}

/// A line in lines; blanks at their ends are dropped.
fn wrap(line: &str, width: usize, breaks: bool) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    let mut gap = 0;
    for word in line.split(' ') {
        let mut word = word;
        let mut length = word.chars().count();
        if length == 0 {
            gap += 1;
            continue;
        }
        if used > 0 && used + gap + length > width && (length <= width || !breaks) {
            lines.push(String::new());
            (used, gap) = (0, 0);
        }
        if let Some(last) = lines.last_mut() {
            last.push_str(&" ".repeat(gap));
            used += gap;
        }
        while breaks && used + length > width {
            let room = width.saturating_sub(used);
            let at = word.char_indices().nth(room).map_or(word.len(), |(at, _)| at);
            if let Some(last) = lines.last_mut() {
                last.push_str(&word[..at]);
            }
            word = &word[at..];
            length -= room;
            lines.push(String::new());
            used = 0;
        }
        if let Some(last) = lines.last_mut() {
            last.push_str(word);
        }
        used += length;
        gap = 1;
    }
    for line in &mut lines {
        line.truncate(line.trim_end_matches(' ').len());
    }
    lines
}

fn striptags(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let mut text = call.value.to_string();
    for (open, close) in [("<!--", "-->"), ("<", ">")] {
        let (mut kept, mut rest) = (String::new(), text.as_str());
        while let Some((before, after)) = rest.split_once(open) {
            let Some((_, after)) = after.split_once(close) else { break };
            kept.push_str(before);
            rest = after;
        }
        text = kept + rest;
    }
    let mut plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, meant) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'")] {
        plain = plain.replace(name, meant);
    }
    Ok(plain.replace("&amp;", "&").into())
}

fn xmlattr(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    if call.value.kind() != ValueKind::Map {
        return Err(call.expected("a mapping"));
    }
    let mut out = String::new();
    for (name, value) in super::dict::entries(&call.value) {
        if value.is_none() || value.is_undefined() {
            continue;
        }
        let name = name.to_string();
        if name.contains([' ', '\t', '\n', '/', '>', '=']) {
            return Err(call.wrong(format!("takes names of attributes, and `{name}` is none")));
        }
        let value = value.to_string();
        let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let value = value.replace('"', "&#34;").replace('\'', "&#39;");
        // Writing to a string cannot fail.
        write!(out, " {name}=\"{value}\"").map_err(|_| ErrorKind::WriteFailure)?;
    }
    let out = if call.flag("autospace", true) { out } else { out.trim_start().to_owned() };
    Ok(out.into())
}
