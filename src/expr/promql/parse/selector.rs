//! Reads which series are meant: `node_load1{instance=~"web.*"}`.

use super::super::ast::{End, Expr, Matcher, Selector, Test};
use super::super::labels::NAME;
use super::super::lex::Token;
use super::{Parser, Problem, pattern_at};

impl Parser {
    /// The rest of a selector, whose name was read already where it has one.
    pub(super) fn selector(&mut self, name: Option<(usize, &str)>) -> Result<Expr, Problem> {
        let begin = name.map_or(self.place(), |(at, _)| at);
        let mut matchers = Vec::new();
        if let Some((_, name)) = name {
            matchers.push(Matcher { name: NAME.into(), test: Test::Is(name.into()) });
        }
        if self.takes_sign("{") {
            while !self.takes_sign("}") {
                matchers.push(self.matcher()?);
                if !self.takes_sign(",") && *self.peek() != Token::Sign("}") {
                    return Err(self.unexpected("`,` or `}`"));
                }
            }
        }
        let names = matchers.iter().filter(|it| &*it.name == NAME);
        if name.is_some() && names.count() > 1 {
            return Err(Problem::new(begin, "the series has two names"));
        }
        if matchers.iter().all(|matcher| matcher.fits_value("")) {
            let told =
                "this means every series there is; give a name or a label that must be there";
            return Err(Problem::new(begin, told));
        }
        Ok(Expr::Select(Selector { matchers, window: None, end: End::default() }))
    }

    fn matcher(&mut self) -> Result<Matcher, Problem> {
        let name = match self.peek().clone() {
            Token::Word(name) if !name.contains(':') => name,
            _ => return Err(self.unexpected("the name of a label")),
        };
        self.next += 1;
        let sign = match self.peek() {
            Token::Sign(sign @ ("=" | "!=" | "=~" | "!~")) => *sign,
            _ => return Err(self.unexpected("`=`, `!=`, `=~` or `!~`")),
        };
        self.next += 1;
        let at = self.place();
        let Token::Text(text) = self.peek().clone() else {
            return Err(self.unexpected("text in quotes"));
        };
        self.next += 1;
        let test = match sign {
            "=" => Test::Is(text.as_str().into()),
            "!=" => Test::IsNot(text.as_str().into()),
            "=~" => Test::Fits(pattern_at(&text, at)?),
            _ => Test::FitsNot(pattern_at(&text, at)?),
        };
        Ok(Matcher { name: name.into(), test })
    }
}
