//! What the `query` of a template asks, as far as that is known before it is asked.

use super::functions::Function;
use super::parse::{Block, Command, Node, Pipeline, Term};
use super::value::Value;

/// Stands for a text that `printf` puts into a query.
pub const HOLE: &str = "zz_hole_zz";

/// The queries of these nodes.
pub(super) fn of(nodes: &[Node]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    in_nodes(nodes, &mut found)?;
    Ok(found)
}

fn in_nodes(nodes: &[Node], found: &mut Vec<String>) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Show(pipeline) | Node::Let(_, pipeline) => in_pipeline(pipeline, found)?,
            Node::Block(Block { of, then, otherwise, .. }) => {
                in_pipeline(of, found)?;
                in_nodes(then, found)?;
                in_nodes(otherwise, found)?;
            }
        }
    }
    Ok(())
}

fn in_pipeline(pipeline: &Pipeline, found: &mut Vec<String>) -> Result<(), String> {
    let mut before: Option<&Command> = None;
    for command in &pipeline.0 {
        let terms = match command {
            Command::Value(term) => std::slice::from_ref(term),
            Command::Call(_, terms) => terms,
        };
        for term in terms {
            if let Term::Inner(inner, _) = term {
                in_pipeline(inner, found)?;
            }
        }
        if let Command::Call(Function::Query, terms) = command {
            let asked = match (terms.first(), before) {
                (Some(term), _) => in_term(term),
                (None, Some(command)) => in_command(command),
                (None, None) => None,
            };
            found.push(asked.ok_or(
                "the argument of `query` must be a text, or `printf` with one, so that it is known \
                 before of which series values are needed",
            )?);
        }
        before = Some(command);
    }
    Ok(())
}

fn in_term(term: &Term) -> Option<String> {
    match term {
        Term::Value(Value::Text(text)) => Some(text.clone()),
        Term::Inner(Pipeline(commands), fields) => match commands.as_slice() {
            [only] if fields.is_empty() => in_command(only),
            _ => None,
        },
        _ => None,
    }
}

fn in_command(command: &Command) -> Option<String> {
    match command {
        Command::Value(term) => in_term(term),
        Command::Call(Function::Printf, terms) => {
            terms.first().and_then(in_term).map(|it| hollow(&it))
        }
        Command::Call(..) => None,
    }
}

/// What `printf` is given, with a hole for each text and a 1 for each number.
fn hollow(form: &str) -> String {
    let mut text = String::new();
    let mut rest = form;
    while let Some((before, behind)) = rest.split_once('%') {
        text.push_str(before);
        let is_part = |char: char| char.is_ascii_digit() || "+-# .".contains(char);
        let verb = behind.trim_start_matches(is_part);
        let mut letters = verb.chars();
        match letters.next() {
            Some('%') => text.push('%'),
            Some('q') => {
                text.push('"');
                text.push_str(HOLE);
                text.push('"');
            }
            Some('s' | 'v') => text.push_str(HOLE),
            Some(_) => text.push('1'),
            None => {}
        }
        rest = letters.as_str();
    }
    text.push_str(rest);
    text
}
