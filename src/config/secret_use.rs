//! Finds the secrets that a config refers to.

use super::read::span;
use crate::event::fault::Diagnostic;
use crate::event::tree::{Node, Span, Value};
use indexmap::IndexMap;
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use std::collections::HashSet;

/// Keys whose text is an expression without braces around it.
const EXPRESSION_KEYS: &[&str] =
    &["when", "keep", "drop", "set", "until", "failed_when", "changed_when", "that", "if"];

/// A secret that is referred to.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// The secret's name.
    pub name: String,
    /// Where it is named.
    pub span: Option<Span>,
}

/// What a tree says about secrets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct References {
    /// Every mention, in the order of the file.
    pub names: Vec<Reference>,
    /// Uses of `secrets` that do not name one, so that nobody can look it up beforehand.
    pub faults: Vec<Diagnostic>,
}

/// Finds `secrets.NAME` and `secrets['NAME']` in the expressions of every text below `node`.
pub fn references(node: &Node) -> References {
    let mut found = References::default();
    each_text(node, Text::Template, &mut |source, text, place| {
        if source.contains("secrets") {
            scan(source, text, place, &mut found);
        }
    });
    found
}

/// The place of the first expression below `node` that reads one of these names, bare or of
/// `vars`. `Some(None)` where the expression has no place.
pub(super) fn first_mention(node: &Node, names: &HashSet<String>) -> Option<Option<Span>> {
    let mut found = None;
    each_text(node, Text::Template, &mut |source, text, place| {
        let mentions = || {
            tokens(source, text).iter().any(|token| match token {
                Token::Ident(name) | Token::Str(name) => names.contains(*name),
                Token::String(name) => names.contains(&**name),
                _ => false,
            })
        };
        if found.is_none() && mentions() {
            found = Some(place.cloned());
        }
    });
    found
}

/// `secrets`, and the variables whose text reads a secret or another such variable.
pub(super) fn secret_names(vars: &IndexMap<String, Node>) -> HashSet<String> {
    let mut names = HashSet::from(["secrets".to_owned()]);
    loop {
        let more: Vec<&String> = vars
            .iter()
            .filter(|(name, node)| !names.contains(*name) && first_mention(node, &names).is_some())
            .map(|(name, _)| name)
            .collect();
        if more.is_empty() {
            return names;
        }
        names.extend(more.into_iter().cloned());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    /// Expressions are in `{{ }}` and `{% %}`.
    Template,
    /// The whole text is one, unless it has braces all the same.
    Expression,
}

/// Calls `look` with every text that may hold an expression. Text tagged `!unsafe` is never
/// rendered.
fn each_text(node: &Node, text: Text, look: &mut dyn FnMut(&str, Text, Option<&Span>)) {
    match &node.value {
        Value::String(source) => {
            let braced = source.contains("{{") || source.contains("{%");
            let text = if braced { Text::Template } else { text };
            if braced || text == Text::Expression {
                look(source, text, node.span.as_ref());
            }
        }
        Value::List(items) => items.iter().for_each(|item| each_text(item, text, look)),
        Value::Map(entries) => {
            for (key, node) in entries {
                let is_expression = EXPRESSION_KEYS.contains(&&*key.name);
                each_text(node, if is_expression { Text::Expression } else { text }, look);
            }
        }
        _ => {}
    }
}

/// The tokens of one text. What is no expression at all is somebody else's complaint.
fn tokens(source: &str, text: Text) -> Vec<Token<'_>> {
    tokenize(source, text == Text::Expression, SyntaxConfig::default())
        .map_while(|token| token.ok().map(|(token, _)| token))
        .collect()
}

fn scan(source: &str, text: Text, place: Option<&Span>, found: &mut References) {
    let tokens = tokens(source, text);
    let mut mentions = 0;
    for (at, token) in tokens.iter().enumerate() {
        if !matches!(token, Token::Ident("secrets")) {
            continue;
        }
        let after_dot = at.checked_sub(1).is_some_and(|at| matches!(tokens[at], Token::Dot));
        let next = |ahead: usize| tokens.get(at + ahead);
        if after_dot || matches!(next(1), Some(Token::Assign)) {
            continue;
        }
        let span = place.map(|place| mention(place, mentions));
        mentions += 1;
        let name = match (next(1), next(2), next(3)) {
            (Some(Token::Dot), Some(Token::Ident(name)), call)
                if !matches!(call, Some(Token::ParenOpen)) =>
            {
                Some(*name)
            }
            (Some(Token::BracketOpen), Some(Token::Str(name)), Some(Token::BracketClose)) => {
                Some(*name)
            }
            (Some(Token::BracketOpen), Some(Token::String(name)), Some(Token::BracketClose)) => {
                Some(&**name)
            }
            _ => None,
        };
        match name {
            Some(name) => found.names.push(Reference { name: name.to_owned(), span }),
            None => found.faults.push(
                Diagnostic::new("`secrets` without the name of one", span)
                    .hint("write {{ secrets.NAME }}; a name cannot be computed"),
            ),
        }
    }
}

/// The place of the `nth` mention in the source. Escapes and folded lines may hide it; then the
/// whole text is the place.
fn mention(place: &Span, nth: usize) -> Span {
    let source = place.file.text.get(place.start..place.end).unwrap_or_default();
    match source.match_indices("secrets").nth(nth) {
        Some((at, word)) => {
            let rest = &source[at + word.len()..];
            let name = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || "_.['\"]".contains(c)))
                .unwrap_or(rest.len());
            let start = place.start + at;
            span(&place.file, start, start + word.len() + name)
        }
        None => place.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::{Dialect, Format, read_text};
    use crate::event::tree::SourceFile;
    use std::path::Path;
    use std::sync::Arc;

    fn found(text: &str) -> String {
        let file = SourceFile::new(Path::new("a.yml").into(), text.to_owned());
        let tree = read_text(&Arc::new(file), Format::Yaml, Dialect::Yaml11).unwrap();
        let References { names, faults } = references(&tree);
        let names = names.into_iter().map(|it| format!("{}: {}", it.span.unwrap(), it.name));
        names.chain(faults.iter().map(ToString::to_string)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_mention_in_an_expression_is_found_with_its_place() {
        insta::assert_snapshot!(found(
            "a: \"{{ secrets.ONE }} and {{ secrets['TWO'] | b64encode }}\"\n\
             b: [\"{% if secrets.THREE %}x{% endif %}\"]\n\
             when: secrets.FOUR is defined\n\
             c: {set: {x: secrets.FIVE}}\n"
        ), @r"
    a.yml:1:8: ONE
    a.yml:1:30: TWO
    a.yml:2:12: THREE
    a.yml:3:7: FOUR
    a.yml:4:14: FIVE
    ");
    }

    #[test]
    fn other_text_and_other_names_are_left_alone() {
        insta::assert_snapshot!(found(
            "a: secrets.ONE is written so\n\
             b: \"{{ facts.secrets.x }} {{ 'secrets.TWO' }} {{ f(secrets=1) }}\"\n\
             c: !unsafe \"{{ secrets.THREE }}\"\n\
             d: \"{# secrets.FOUR #}{% raw %}{{ secrets.FIVE }}{% endraw %}\"\n"
        ), @"");
    }

    #[test]
    fn a_secret_whose_name_is_computed_is_refused() {
        insta::assert_snapshot!(found("a: \"{{ secrets[x] }} {{ secrets }}\"\nb: \"{{ secrets.get('X') }}\"\n"), @r"
    a.yml:1:8: `secrets` without the name of one
    a.yml:1:25: `secrets` without the name of one
    a.yml:2:8: `secrets` without the name of one
    ");
    }
}
