//! Reads an expression.

mod selector;
mod windows;

use super::ast::{Aggregate, Aggregation, Binary, Expr, Grouping, Many, Matching, Operator, Type};
use super::functions::{FUNCTIONS, Function, Signature};
use super::lex::{Token, lex};
use crate::event::fault::nearest;
use regex::Regex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes from its beginning.
    pub at: usize,
    /// What was found and what was expected.
    pub message: String,
}

impl Problem {
    /// What is wrong there.
    pub fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {} of the expression: {}", self.at + 1, self.message)
    }
}

impl std::error::Error for Problem {}

/// Reads an expression. It is of a number or of series; what is not supported is a problem too.
///
/// # Errors
/// The first problem, with its place.
pub fn parse(text: &str) -> Result<Expr, Problem> {
    let mut parser = Parser { tokens: lex(text)?, next: 0, depth: 0, operators: 0 };
    let expr = parser.expr(0)?;
    if *parser.peek() != Token::End {
        return Err(parser.unexpected("an operator or the end"));
    }
    match expr.kind() {
        Type::Scalar | Type::Vector => Ok(expr),
        kind => {
            Err(Problem::new(0, format!("the expression is {kind}, expected {}", Type::Vector)))
        }
    }
}

/// Deeper than anybody writes, and far from the end of the stack.
const DEEPEST: usize = 64;
/// A chain of operators is as deep as it is long.
const MOST_OPERATORS: usize = 256;
/// How tightly `-x` binds: more than `*`, less than `^`.
const UNARY: u8 = 5;

const AGGREGATIONS: [(&str, Aggregation); 12] = [
    ("sum", Aggregation::Sum),
    ("avg", Aggregation::Avg),
    ("min", Aggregation::Min),
    ("max", Aggregation::Max),
    ("count", Aggregation::Count),
    ("group", Aggregation::Group),
    ("stddev", Aggregation::Stddev),
    ("stdvar", Aggregation::Stdvar),
    ("topk", Aggregation::Topk),
    ("bottomk", Aggregation::Bottomk),
    ("quantile", Aggregation::Quantile),
    ("count_values", Aggregation::CountValues),
];

/// Operators, with how tightly they bind.
const OPERATORS: [(&str, Operator, u8); 16] = [
    ("or", Operator::Or, 0),
    ("and", Operator::And, 1),
    ("unless", Operator::Unless, 1),
    ("==", Operator::Equal, 2),
    ("!=", Operator::Unequal, 2),
    ("<", Operator::Less, 2),
    ("<=", Operator::LessOrEqual, 2),
    (">", Operator::Greater, 2),
    (">=", Operator::GreaterOrEqual, 2),
    ("+", Operator::Add, 3),
    ("-", Operator::Subtract, 3),
    ("*", Operator::Multiply, 4),
    ("/", Operator::Divide, 4),
    ("%", Operator::Modulo, 4),
    ("atan2", Operator::Atan2, 4),
    ("^", Operator::Power, 6),
];

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
    operators: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn place(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(0, |(at, _)| *at)
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let is = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.next += usize::from(is);
        is
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word));
        self.next += usize::from(is);
        is
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), Problem> {
        if self.takes_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn unexpected(&self, expected: &str) -> Problem {
        let found = match self.peek() {
            Token::Word(word) => format!("`{word}`"),
            Token::Number(number) => format!("`{number}`"),
            Token::Time(_) => "a time".to_owned(),
            Token::Text(text) => format!("{text:?}"),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end".to_owned(),
        };
        Problem::new(self.place(), format!("found {found}, expected {expected}"))
    }

    /// An expression whose operators bind at least as tightly as `tight`.
    fn expr(&mut self, tight: u8) -> Result<Expr, Problem> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Problem::new(self.place(), "the expression is nested too deep"));
        }
        let mut left = self.unary()?;
        while let Some((operator, binds)) = self.operator().filter(|(_, binds)| *binds >= tight) {
            let at = self.place();
            self.next += 1;
            self.operators += 1;
            if self.operators > MOST_OPERATORS {
                let told = format!("the expression has more than {MOST_OPERATORS} operators");
                return Err(Problem::new(at, told));
            }
            let (gives_bool, matching) = self.modifiers(operator)?;
            // `^` takes what follows first, all others what came before.
            let right = self.expr(binds + u8::from(operator != Operator::Power))?;
            let binary = Binary { operator, gives_bool, matching, left, right };
            check(&binary).map_err(|told| Problem::new(at, told))?;
            left = Expr::Binary(Box::new(binary));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        let is = |name: &str| match self.peek() {
            Token::Sign(sign) => *sign == name,
            Token::Word(word) => word.eq_ignore_ascii_case(name),
            _ => false,
        };
        let (_, operator, binds) = OPERATORS.iter().find(|(name, ..)| is(name))?;
        Some((*operator, *binds))
    }

    fn unary(&mut self) -> Result<Expr, Problem> {
        let at = self.place();
        let negative = self.takes_sign("-");
        if !negative && !self.takes_sign("+") {
            return self.primary();
        }
        let of = self.expr(UNARY)?;
        match (of.kind(), of) {
            (Type::Scalar | Type::Vector, of) if !negative => Ok(of),
            (_, Expr::Number(number)) => Ok(Expr::Number(-number)),
            (Type::Scalar | Type::Vector, of) => Ok(Expr::Negate(Box::new(of))),
            (kind, _) => Err(Problem::new(at, format!("{kind} has no sign"))),
        }
    }

    /// What stands between operator and right side: `bool`, `on (...)`, `group_left (...)`.
    fn modifiers(&mut self, operator: Operator) -> Result<(bool, Matching), Problem> {
        let at = self.place();
        let gives_bool = self.takes_word("bool");
        if gives_bool && !operator.compares() {
            return Err(Problem::new(at, "`bool` belongs to a comparison"));
        }
        let mut matching = Matching::default();
        if self.takes_word("on") {
            matching.by = Grouping::By(self.names()?);
        } else if self.takes_word("ignoring") {
            matching.by = Grouping::Without(self.names()?);
        } else {
            return Ok((gives_bool, matching));
        }
        let at = self.place();
        matching.many = match () {
            () if self.takes_word("group_left") => Some(Many::Left),
            () if self.takes_word("group_right") => Some(Many::Right),
            () => return Ok((gives_bool, matching)),
        };
        if operator.is_of_sets() {
            return Err(Problem::new(at, "`and`, `or` and `unless` take no `group_left`"));
        }
        if *self.peek() == Token::Sign("(") {
            matching.include = self.names()?;
        }
        Ok((gives_bool, matching))
    }

    /// `(a, b)`
    fn names(&mut self) -> Result<Vec<Arc<str>>, Problem> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.takes_sign(")") {
            match self.peek() {
                Token::Word(name) if !name.contains(':') => names.push(name.as_str().into()),
                _ => return Err(self.unexpected("the name of a label")),
            }
            self.next += 1;
            if !self.takes_sign(",") && *self.peek() != Token::Sign(")") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
        Ok(names)
    }

    fn primary(&mut self) -> Result<Expr, Problem> {
        let expr = match self.peek().clone() {
            Token::Number(number) => self.then(Expr::Number(number)),
            Token::Time(millis) => self.then(Expr::Number(millis as f64 / 1e3)),
            Token::Text(text) => self.then(Expr::Text(text.into())),
            Token::Sign("(") => {
                self.next += 1;
                let inner = self.expr(0)?;
                self.expect(")")?;
                inner
            }
            Token::Sign("{") => self.selector(None)?,
            Token::Word(word) => self.word(&word)?,
            _ => return Err(self.unexpected("a number, a series or a function")),
        };
        self.windows(expr)
    }

    fn then(&mut self, expr: Expr) -> Expr {
        self.next += 1;
        expr
    }

    fn word(&mut self, word: &str) -> Result<Expr, Problem> {
        let is_called = matches!(self.tokens.get(self.next + 1), Some((_, Token::Sign("("))));
        let lower = word.to_ascii_lowercase();
        let aggregation = AGGREGATIONS.iter().find(|(name, _)| *name == lower);
        let at = self.place();
        if let Some((name, aggregation)) = aggregation {
            let by = matches!(self.tokens.get(self.next + 1),
                Some((_, Token::Word(next))) if ["by", "without"].contains(&next.as_str()));
            if is_called || by {
                self.next += 1;
                return self.aggregate(name, *aggregation);
            }
        }
        if lower == "inf" || lower == "nan" {
            let number = if lower == "inf" { f64::INFINITY } else { f64::NAN };
            return Ok(self.then(Expr::Number(number)));
        }
        self.next += 1;
        if !is_called {
            return self.selector(Some((at, word)));
        }
        let Some(signature) = FUNCTIONS.iter().find(|known| known.name == word) else {
            let names = FUNCTIONS.iter().map(|known| known.name);
            let names = names.chain(AGGREGATIONS.iter().map(|(name, _)| *name));
            let hint = nearest(word, names);
            let hint = hint.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
            return Err(Problem::new(at, format!("there is no function `{word}` here{hint}")));
        };
        let arguments = self.arguments()?;
        call(signature, at, arguments)
    }

    /// `(x, y)`, with the place of each.
    fn arguments(&mut self) -> Result<Vec<(usize, Expr)>, Problem> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.takes_sign(")") {
            arguments.push((self.place(), self.expr(0)?));
            if !self.takes_sign(",") && *self.peek() != Token::Sign(")") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
        Ok(arguments)
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, Problem> {
        if self.takes_word("by") {
            return Ok(Some(Grouping::By(self.names()?)));
        }
        if self.takes_word("without") {
            return Ok(Some(Grouping::Without(self.names()?)));
        }
        Ok(None)
    }

    fn aggregate(&mut self, name: &str, aggregation: Aggregation) -> Result<Expr, Problem> {
        use Aggregation::{Bottomk, CountValues, Quantile, Topk};
        let mut by = self.grouping()?;
        let at = self.place();
        let mut arguments = self.arguments()?;
        if by.is_none() {
            by = self.grouping()?;
        }
        let takes: &[Type] = match aggregation {
            CountValues => &[Type::String, Type::Vector],
            Topk | Bottomk | Quantile => &[Type::Scalar, Type::Vector],
            _ => &[Type::Vector],
        };
        check_arguments(name, at, takes, Count::default(), &arguments)?;
        let Some((_, of)) = arguments.pop() else {
            return Err(Problem::new(at, format!("`{name}` takes {}", Type::Vector)));
        };
        let parameter = arguments.pop().map(|(_, parameter)| parameter);
        let by = by.unwrap_or(Grouping::By(Vec::new()));
        Ok(Expr::Aggregate(Box::new(Aggregate { aggregation, by, parameter, of })))
    }

    fn time(&mut self) -> Result<Duration, Problem> {
        let seconds = match *self.peek() {
            Token::Time(millis) => {
                self.next += 1;
                return Ok(Duration::from_millis(millis));
            }
            Token::Number(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            _ => None,
        };
        let seconds = seconds.ok_or_else(|| self.unexpected("a time such as `5m`"))?;
        self.next += 1;
        Ok(seconds)
    }
}

fn check(binary: &Binary) -> Result<(), String> {
    let kinds = [binary.left.kind(), binary.right.kind()];
    if let Some(kind) = kinds.iter().find(|it| !matches!(it, Type::Scalar | Type::Vector)) {
        return Err(format!("found {kind}, expected {} or {}", Type::Scalar, Type::Vector));
    }
    let scalars = kinds.iter().filter(|kind| **kind == Type::Scalar).count();
    if scalars > 0 && binary.operator.is_of_sets() {
        return Err("`and`, `or` and `unless` stand between series".to_owned());
    }
    if scalars == 2 && binary.operator.compares() && !binary.gives_bool {
        return Err("two numbers are compared with `bool`, as in `1 > bool 2`".to_owned());
    }
    let is_plain = matches!(&binary.matching.by, Grouping::Without(names) if names.is_empty());
    if scalars > 0 && !is_plain {
        return Err("`on` and `ignoring` stand between series".to_owned());
    }
    Ok(())
}

/// How many arguments there may be other than those that are taken.
#[derive(Clone, Copy, Default)]
struct Count {
    /// How many of the last may be left out.
    optional: usize,
    /// Whether there may be more of the last.
    repeats: bool,
}

fn check_arguments(
    name: &str,
    at: usize,
    takes: &[Type],
    Count { optional, repeats }: Count,
    arguments: &[(usize, Expr)],
) -> Result<(), Problem> {
    let is_too_many = arguments.len() > takes.len() && !repeats;
    if is_too_many || arguments.len() + optional < takes.len() {
        let (found, wanted) = (arguments.len(), takes.len());
        return Err(Problem::new(at, format!("`{name}` has {found} arguments, expected {wanted}")));
    }
    let takes = takes.iter().chain(takes.last().into_iter().cycle());
    for ((at, found), wanted) in arguments.iter().zip(takes) {
        let kind = found.kind();
        if kind != *wanted {
            return Err(Problem::new(*at, format!("`{name}`: found {kind}, expected {wanted}")));
        }
    }
    Ok(())
}

fn call(signature: &Signature, at: usize, arguments: Vec<(usize, Expr)>) -> Result<Expr, Problem> {
    let Signature { name, takes, optional, repeats, .. } = *signature;
    check_arguments(name, at, takes, Count { optional, repeats }, &arguments)?;
    if let (Function::LabelReplace, Some((at, Expr::Text(pattern)))) =
        (signature.function, arguments.get(4))
    {
        pattern_at(pattern, *at)?;
    }
    let arguments = arguments.into_iter().map(|(_, argument)| argument).collect();
    Ok(Expr::Call(signature.function, arguments))
}

/// The pattern that stands at this place.
fn pattern_at(pattern: &str, at: usize) -> Result<Regex, Problem> {
    Regex::new(&anchored(pattern)).map_err(|error| {
        // Several lines; the last one says what is wrong.
        let told = error.to_string();
        let reason = told.lines().last().unwrap_or_default().trim_start_matches("error: ");
        Problem::new(at, format!("`{pattern}` is not a regular expression: {reason}"))
    })
}

/// A pattern for the whole of a value, line feeds included.
pub(super) fn anchored(pattern: &str) -> String {
    format!("^(?s:{pattern})$")
}
