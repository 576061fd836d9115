//! Reads a template.

use super::functions::{Function, UNSUPPORTED};
use super::value::Value;
use crate::event::fault::nearest;

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Show(Pipeline),
    /// `$name := …`
    Let(String, Pipeline),
    Block(Block),
}

/// What a block does with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    If,
    /// `.` is the value within.
    With,
    /// `.` is each thing that is in the value.
    Range,
}

/// `if`, `with` or `range`.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) way: Way,
    /// The variables that are set to the value; of `range`, up to two.
    pub(super) variables: Vec<String>,
    /// The value that it depends on.
    pub(super) of: Pipeline,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `a | b | c`
#[derive(Clone, Debug)]
pub(super) struct Pipeline(pub(super) Vec<Command>);

#[derive(Clone, Debug)]
pub(super) enum Command {
    Value(Term),
    Call(Function, Vec<Term>),
}

#[derive(Clone, Debug)]
pub(super) enum Term {
    Value(Value),
    /// `$name.field`
    Variable(String, Vec<String>),
    /// `.field`
    Dot(Vec<String>),
    /// `(…).field`
    Inner(Pipeline, Vec<String>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Value(Value),
    Variable(String, Vec<String>),
    Dot(Vec<String>),
    Word(String),
    Sign(&'static str),
}

/// Deeper than anybody writes.
const DEEPEST: usize = 32;

pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut open: Vec<Open> = Vec::new();
    let mut nodes = Vec::new();
    for (before, action) in parts(text)? {
        if !before.is_empty() {
            nodes.push(Node::Text(before));
        }
        let Some(action) = action else { break };
        if action.is_empty() {
            // It was a comment.
            continue;
        }
        let mut parser = Parser { tokens: lex(&action)?, next: 0, depth: 0 };
        match parser.keyword() {
            Some(word @ ("if" | "with" | "range")) => {
                let block = Open::begin(word, &mut parser, std::mem::take(&mut nodes), &open)?;
                open.push(block);
            }
            Some("else") => {
                let Some(block) = open.last_mut().filter(|block| block.then.is_none()) else {
                    return Err("`else` is not within `if`, `with` or `range`".to_owned());
                };
                block.then = Some(std::mem::take(&mut nodes));
                if let Some(word @ ("if" | "with")) = parser.keyword() {
                    let more = block.more + 1;
                    let block = Open::begin(word, &mut parser, Vec::new(), &open)?;
                    open.push(Open { more, ..block });
                }
            }
            Some("end") => {
                // `else if` has no end of its own.
                loop {
                    let Some(block) = open.pop() else {
                        return Err("`end` without `if`, `with` or `range`".to_owned());
                    };
                    let more = block.more;
                    nodes = block.close(nodes);
                    if more == 0 {
                        break;
                    }
                }
            }
            Some(word) => return Err(format!("`{word}` is not supported in templates")),
            None => {
                let (mut variables, pipeline) = parser.declaration(1)?;
                nodes.push(match variables.pop() {
                    Some(name) => Node::Let(name, pipeline),
                    None => Node::Show(pipeline),
                });
            }
        }
        parser.end()?;
    }
    match open.last() {
        Some(_) => Err("`if`, `with` or `range` has no `{{ end }}`".to_owned()),
        None => Ok(nodes),
    }
}

/// A block whose end is not reached.
struct Open {
    way: Way,
    variables: Vec<String>,
    of: Pipeline,
    /// What came before it.
    before: Vec<Node>,
    /// What is before its `else`, if that was met.
    then: Option<Vec<Node>>,
    /// How many blocks of an `else if` end with it.
    more: usize,
}

impl Open {
    /// The block that `word` begins, within those that are `open`.
    fn begin(
        word: &str,
        parser: &mut Parser,
        before: Vec<Node>,
        open: &[Self],
    ) -> Result<Self, String> {
        if open.len() == DEEPEST {
            return Err("blocks are nested too deep".to_owned());
        }
        let (way, most) = match word {
            "range" => (Way::Range, 2),
            "with" => (Way::With, 1),
            _ => (Way::If, 1),
        };
        let (variables, of) = parser.declaration(most)?;
        Ok(Self { way, variables, of, before, then: None, more: 0 })
    }

    fn close(self, last: Vec<Node>) -> Vec<Node> {
        let (then, otherwise) = match self.then {
            Some(then) => (then, last),
            None => (last, Vec::new()),
        };
        let Self { way, variables, of, mut before, .. } = self;
        before.push(Node::Block(Block { way, variables, of, then, otherwise }));
        before
    }
}

/// The text before each action, and the action; none behind the last.
fn parts(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut trims = false;
    loop {
        let Some((before, behind)) = rest.split_once("{{") else {
            let last = if trims { rest.trim_start() } else { rest };
            parts.push((last.to_owned(), None));
            return Ok(parts);
        };
        let mut before = if trims { before.trim_start() } else { before };
        let end = closing(behind).ok_or("`{{` is never closed by `}}`")?;
        let (mut action, after) = (&behind[..end], &behind[end + 2..]);
        if let Some(trimmed) = action.strip_prefix("- ") {
            (before, action) = (before.trim_end(), trimmed);
        }
        let trimmed = action.strip_suffix(" -");
        trims = trimmed.is_some();
        action = trimmed.unwrap_or(action).trim();
        rest = after;
        if action.starts_with("/*") && action.ends_with("*/") {
            parts.push((before.to_owned(), Some(String::new())));
        } else if action.is_empty() {
            return Err("there is nothing between `{{` and `}}`".to_owned());
        } else {
            parts.push((before.to_owned(), Some(action.to_owned())));
        }
    }
}

/// Where `}}` stands, outside of text in quotes.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (Some(b'"'), b'\\') => drop(bytes.next()),
            (Some(open), byte) if open == byte => quote = None,
            (None, b'"' | b'`') => quote = Some(byte),
            (None, b'}') if text[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
    }
    None
}

const SIGNS: [&str; 6] = [":=", "|", "(", ")", "=", ","];

fn lex(action: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let token;
        (token, rest) = match first {
            '"' | '`' => quoted(rest)?,
            '$' => {
                let (name, rest) = word(&rest[1..]);
                let (fields, rest) = fields(rest);
                (Token::Variable(name.to_owned(), fields), rest)
            }
            '.' => {
                let (fields, rest) = fields(rest);
                let rest = if fields.is_empty() { &rest[1..] } else { rest };
                (Token::Dot(fields), rest)
            }
            '0'..='9' | '-' | '+' => number(rest)?,
            'a'..='z' | 'A'..='Z' | '_' => {
                let (name, rest) = word(rest);
                let token = match name {
                    "true" | "false" => Token::Value(Value::Bool(name == "true")),
                    name => Token::Word(name.to_owned()),
                };
                (token, rest)
            }
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| format!("`{first}` has no meaning in a template"))?;
                (Token::Sign(sign), &rest[sign.len()..])
            }
        };
        tokens.push(token);
        // Fields of what stands in brackets follow at once.
        if !rest.starts_with('.') || tokens.last() != Some(&Token::Sign(")")) {
            rest = rest.trim_start();
        }
    }
    Ok(tokens)
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    text.split_at(end.unwrap_or(text.len()))
}

/// `.a.b`
fn fields(mut text: &str) -> (Vec<String>, &str) {
    let mut fields = Vec::new();
    while let Some(behind) = text.strip_prefix('.') {
        let (name, rest) = word(behind);
        if name.is_empty() {
            break;
        }
        fields.push(name.to_owned());
        text = rest;
    }
    (fields, text)
}

fn number(text: &str) -> Result<(Token, &str), String> {
    let part = |letter: char| letter.is_ascii_alphanumeric() || ".+-_".contains(letter);
    let (digits, rest) = text.split_at(text.find(|it| !part(it)).unwrap_or(text.len()));
    let value = match (digits.parse(), digits.parse()) {
        (Ok(value), _) => Value::Int(value),
        (_, Ok(value)) => Value::Float(value),
        _ => return Err(format!("`{digits}` is no number")),
    };
    Ok((Token::Value(value), rest))
}

fn quoted(text: &str) -> Result<(Token, &str), String> {
    if let Some(raw) = text.strip_prefix('`') {
        let (raw, rest) = raw.split_once('`').ok_or("a text is not closed by `")?;
        return Ok((Token::Value(Value::Text(raw.to_owned())), rest));
    }
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, letter)) = chars.next() {
        match letter {
            '"' => return Ok((Token::Value(Value::Text(value)), &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, letter @ ('\\' | '"'))) => value.push(letter),
                _ => return Err("a backslash in a text is written `\\\\`".to_owned()),
            },
            letter => value.push(letter),
        }
    }
    Err("a text is not closed by \"".to_owned())
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

const KEYWORDS: [&str; 9] =
    ["if", "with", "else", "end", "range", "define", "template", "block", "break"];

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn keyword(&mut self) -> Option<&'static str> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let keyword = KEYWORDS.iter().find(|keyword| *keyword == word)?;
        self.next += 1;
        Some(keyword)
    }

    fn takes(&mut self, sign: &'static str) -> bool {
        let is = self.peek() == Some(&Token::Sign(sign));
        self.next += usize::from(is);
        is
    }

    fn end(&self) -> Result<(), String> {
        match self.peek() {
            Some(token) => Err(format!("found {}, expected `}}}}`", token.told())),
            None => Ok(()),
        }
    }

    /// `$name := pipeline`, with up to `most` names, or a pipeline alone.
    fn declaration(&mut self, most: usize) -> Result<(Vec<String>, Pipeline), String> {
        let begun = self.next;
        let mut names = Vec::new();
        while names.len() < most
            && let Some(Token::Variable(name, fields)) = self.peek().cloned()
            && fields.is_empty()
        {
            self.next += 1;
            names.push(name);
            if self.takes(":=") {
                return Ok((names, self.pipeline()?));
            }
            if !self.takes(",") {
                break;
            }
        }
        self.next = begun;
        Ok((Vec::new(), self.pipeline()?))
    }

    fn pipeline(&mut self) -> Result<Pipeline, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("brackets are nested too deep".to_owned());
        }
        let mut commands = vec![self.command(false)?];
        while self.takes("|") {
            commands.push(self.command(true)?);
        }
        self.depth -= 1;
        Ok(Pipeline(commands))
    }

    fn command(&mut self, is_piped: bool) -> Result<Command, String> {
        if let Some(Token::Word(word)) = self.peek().cloned() {
            self.next += 1;
            let function = function(&word)?;
            let mut terms = Vec::new();
            while self.peek().is_some_and(|it| !matches!(it, Token::Sign("|" | ")"))) {
                terms.push(self.term()?);
            }
            let arguments = terms.len() + usize::from(is_piped);
            if !function.takes().contains(&arguments) {
                return Err(format!("`{word}` does not take {arguments} arguments"));
            }
            return Ok(Command::Call(function, terms));
        }
        if is_piped {
            return Err("a function is expected behind `|`".to_owned());
        }
        self.term().map(Command::Value)
    }

    fn term(&mut self) -> Result<Term, String> {
        let Some(token) = self.peek().cloned() else {
            return Err("found the end, expected a value".to_owned());
        };
        self.next += 1;
        Ok(match token {
            Token::Value(value) => Term::Value(value),
            Token::Variable(name, fields) => Term::Variable(name, fields),
            Token::Dot(fields) => Term::Dot(fields),
            Token::Sign("(") => {
                let inner = self.pipeline()?;
                if !self.takes(")") {
                    return Err("`(` is not closed".to_owned());
                }
                let fields = match self.peek().cloned() {
                    Some(Token::Dot(fields)) if !fields.is_empty() => {
                        self.next += 1;
                        fields
                    }
                    _ => Vec::new(),
                };
                Term::Inner(inner, fields)
            }
            Token::Word(word) => {
                Term::Inner(Pipeline(vec![Command::Call(function(&word)?, Vec::new())]), Vec::new())
            }
            other @ Token::Sign(_) => {
                return Err(format!("found {}, expected a value", other.told()));
            }
        })
    }
}

fn function(word: &str) -> Result<Function, String> {
    if let Some(function) = Function::named(word) {
        return Ok(function);
    }
    if UNSUPPORTED.contains(&word) || KEYWORDS.contains(&word) {
        return Err(format!("`{word}` is not supported in templates"));
    }
    let hint = nearest(word, Function::names());
    let hint = hint.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    Err(format!("there is no function `{word}` in templates{hint}"))
}

impl Token {
    fn told(&self) -> String {
        match self {
            Self::Value(value) => format!("`{}`", value.shown()),
            Self::Variable(name, _) => format!("`${name}`"),
            Self::Dot(fields) => format!("`.{}`", fields.join(".")),
            Self::Word(word) => format!("`{word}`"),
            Self::Sign(sign) => format!("`{sign}`"),
        }
    }
}
