//! Reads what stands behind an expression and says when: `[5m]`, `[1h:5m]`, `offset 1h`, `@ end()`.

use super::super::ast::{At, End, Expr, Selector, Subquery, Type, millis};
use super::super::lex::{Token, lex};
use super::{Parser, Problem};
use std::time::Duration;

/// How far apart the steps of a subquery are that does not say so: Prometheus's own default.
const STEP: Duration = Duration::from_secs(60);
/// How often an expression may be evaluated within others.
const MOST_STEPS: u64 = 11_000;

impl Parser {
    pub(super) fn windows(&mut self, mut expr: Expr) -> Result<Expr, Problem> {
        loop {
            let at = self.place();
            if self.takes_sign("[") {
                expr = self.window(expr, at)?;
            } else if self.takes_word("offset") {
                let back = !self.takes_sign("-");
                let offset = millis(self.time()?);
                let end = end_of(&mut expr).filter(|end| end.offset_ms.is_none());
                let end = end.ok_or_else(|| misplaced(at, "offset"))?;
                end.offset_ms = Some(if back { offset } else { -offset });
            } else if self.takes_sign("@") {
                let time = self.at()?;
                let end = end_of(&mut expr).filter(|end| end.at.is_none());
                end.ok_or_else(|| misplaced(at, "@"))?.at = Some(time);
            } else {
                return Ok(expr);
            }
        }
    }

    /// What stands behind `[`, which is at `at`.
    fn window(&mut self, mut expr: Expr, at: usize) -> Result<Expr, Problem> {
        let window = self.time()?;
        if window.is_zero() {
            return Err(Problem::new(at, "the window is 0s, expected a time"));
        }
        if let Some(step) = self.step()? {
            self.expect("]")?;
            return subquery(expr, window, step, at);
        }
        self.expect("]")?;
        match &mut expr {
            // What is said of the end comes behind the window.
            Expr::Select(Selector { window: missing @ None, end, .. })
                if *end == End::default() =>
            {
                *missing = Some(window);
            }
            _ => {
                let told = "a window belongs to the name of a series; others take one with a step, \
                            `[1h:5m]`";
                return Err(Problem::new(at, told));
            }
        }
        Ok(expr)
    }

    /// `:5m` or `:`, if it stands there.
    fn step(&mut self) -> Result<Option<Duration>, Problem> {
        // A colon begins a word, since names have colons; and what follows it is a part of that.
        let Token::Word(word) = self.peek().clone() else { return Ok(None) };
        let Some(text) = word.strip_prefix(':') else { return Ok(None) };
        let mut at = self.place();
        self.next += 1;
        let step = match lex(text).as_deref() {
            Ok([(_, Token::Time(millis)), _]) => Duration::from_millis(*millis),
            Ok([(_, Token::End)]) if *self.peek() == Token::Sign("]") => STEP,
            Ok([(_, Token::End)]) => {
                at = self.place();
                self.time()?
            }
            _ => {
                let told = format!("found `{text}`, expected a time such as `5m`");
                return Err(Problem::new(at, told));
            }
        };
        if step.is_zero() {
            return Err(Problem::new(at, "the step is 0s, expected a time"));
        }
        Ok(Some(step))
    }

    /// What stands behind `@`: a time, `start()` or `end()`.
    fn at(&mut self) -> Result<At, Problem> {
        let sign = if self.takes_sign("-") { -1.0 } else { 1.0 };
        if self.takes_word("start") || self.takes_word("end") {
            self.expect("(")?;
            self.expect(")")?;
            return Ok(At::Query);
        }
        let seconds = match *self.peek() {
            Token::Number(seconds) => seconds,
            Token::Time(millis) => millis as f64 / 1e3,
            _ => return Err(self.unexpected("a time in seconds, `start()` or `end()`")),
        };
        let millis = sign * seconds * 1e3;
        if !(i64::MIN as f64..i64::MAX as f64).contains(&millis) {
            return Err(self.unexpected("a time in seconds"));
        }
        self.next += 1;
        Ok(At::Ms(millis.round() as i64))
    }
}

fn subquery(of: Expr, window: Duration, step: Duration, at: usize) -> Result<Expr, Problem> {
    if of.kind() != Type::Vector && of.kind() != Type::Scalar {
        let told = format!("found {} before `[`, expected {}", of.kind(), Type::Vector);
        return Err(Problem::new(at, told));
    }
    let sub = Expr::Subquery(Box::new(Subquery { of, window, step, end: End::default() }));
    let steps = sub.steps();
    if steps > MOST_STEPS {
        let told = format!("it would be evaluated {steps} times; {MOST_STEPS} are the most");
        return Err(Problem::new(at, told));
    }
    Ok(sub)
}

/// When what has such an end ends.
fn end_of(expr: &mut Expr) -> Option<&mut End> {
    match expr {
        Expr::Select(selector) => Some(&mut selector.end),
        Expr::Subquery(sub) => Some(&mut sub.end),
        _ => None,
    }
}

fn misplaced(at: usize, what: &str) -> Problem {
    let told = format!("`{what}` belongs to the name of a series or to a subquery, and once only");
    Problem::new(at, told)
}
