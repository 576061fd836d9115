//! From the parsed expression to a program: common forms natively, the rest as text for the
//! library.

use super::Unfit;
use super::ir::{Comparison, Filter, Operand, Program, Question, Test};
use super::scan::{self, Anchor};
use crate::expr::pattern::{Options, Pattern, from_python};
use crate::expr::record::{Made, Names};
use crate::expr::unparse::{Uses, unparse};
use memchr::memmem::Finder;
use minijinja::ErrorKind;
use minijinja::machinery::ast::{self, BinOpKind, CallArg, CompareOpKind, Expr, UnaryOpKind};
use minijinja::machinery::{Span, parse_expr};
use minijinja::value::{Value, ValueKind};
use std::sync::Arc;

/// Reads an expression. Constants are taken from `names`.
pub(super) fn lower(text: &str, names: &Names) -> Result<Program, Unfit> {
    let expr = parse_expr(text).map_err(|error| {
        let detail = error.detail().unwrap_or("this is not an expression");
        let at = match error.range() {
            Some(range) if !detail.starts_with("unexpected end") => range.start,
            _ => text.len(),
        };
        let reason = match detail.split_once(", ") {
            Some((found, expected)) => {
                format!("{}, {expected}", found.replace("unexpected", "found"))
            }
            None => detail.to_owned(),
        };
        Unfit::at(text, at, reason)
    })?;
    let mut lowering = Lowering { text, names, fields: Vec::new(), library: Vec::new() };
    let test = lowering.test(&expr)?;
    Ok(Program { test, fields: lowering.fields, library: lowering.library })
}

struct Lowering<'l> {
    text: &'l str,
    names: &'l Names,
    fields: Vec<String>,
    library: Vec<Question>,
}

impl Lowering<'_> {
    fn test(&mut self, expr: &Expr<'_>) -> Result<Test, Unfit> {
        match expr {
            Expr::UnaryOp(op) if matches!(op.op, UnaryOpKind::Not) => {
                Ok(Test::Not(Box::new(self.test(&op.expr)?)))
            }
            Expr::BinOp(op) => match op.op {
                BinOpKind::ScAnd => {
                    Ok(Test::All(vec![self.test(&op.left)?, self.test(&op.right)?]))
                }
                BinOpKind::ScOr => Ok(Test::Any(vec![self.test(&op.left)?, self.test(&op.right)?])),
                BinOpKind::Eq => self.compare(&op.left, CompareOpKind::Eq, &op.right),
                BinOpKind::Ne => self.compare(&op.left, CompareOpKind::Ne, &op.right),
                BinOpKind::Lt => self.compare(&op.left, CompareOpKind::Lt, &op.right),
                BinOpKind::Lte => self.compare(&op.left, CompareOpKind::Lte, &op.right),
                BinOpKind::Gt => self.compare(&op.left, CompareOpKind::Gt, &op.right),
                BinOpKind::Gte => self.compare(&op.left, CompareOpKind::Gte, &op.right),
                BinOpKind::In => self.compare(&op.left, CompareOpKind::In, &op.right),
                _ => Ok(Test::True(self.operand(expr)?)),
            },
            Expr::Compare(chain) => {
                let mut tests = Vec::new();
                let mut left = &chain.expr;
                for op in &chain.ops {
                    tests.push(self.compare(left, op.op, &op.expr)?);
                    left = &op.expr;
                }
                Ok(Test::All(tests))
            }
            Expr::Test(test) => self.named_test(expr, test),
            Expr::Call(call) => match method(call) {
                Some((text, "startswith", [CallArg::Pos(part)])) => {
                    self.at_an_end(expr, text, part, Test::Begins)
                }
                Some((text, "endswith", [CallArg::Pos(part)])) => {
                    self.at_an_end(expr, text, part, Test::Ends)
                }
                _ => Ok(Test::True(self.operand(expr)?)),
            },
            Expr::Const(constant) => Ok(Test::Known(constant.value.is_true())),
            _ => Ok(Test::True(self.operand(expr)?)),
        }
    }

    fn compare(
        &mut self,
        left: &Expr<'_>,
        op: CompareOpKind,
        right: &Expr<'_>,
    ) -> Result<Test, Unfit> {
        let comparison = match op {
            CompareOpKind::In => return self.contains(left, right),
            CompareOpKind::NotIn => return Ok(Test::Not(Box::new(self.contains(left, right)?))),
            CompareOpKind::Eq => Comparison::Equal,
            CompareOpKind::Ne => Comparison::Unequal,
            CompareOpKind::Lt => Comparison::Less,
            CompareOpKind::Lte => Comparison::LessOrEqual,
            CompareOpKind::Gt => Comparison::Greater,
            CompareOpKind::Gte => Comparison::GreaterOrEqual,
        };
        Ok(Test::Compare(comparison, self.operand(left)?, self.operand(right)?))
    }

    fn contains(&mut self, needle: &Expr<'_>, hay: &Expr<'_>) -> Result<Test, Unfit> {
        if let Some(list) = self.constant(hay).filter(|hay| hay.kind() == ValueKind::Seq) {
            let items = list.try_iter().into_iter().flatten();
            let items = items.filter_map(|item| Made::of(&item)).collect();
            return Ok(Test::OneOf(self.operand(needle)?, items));
        }
        let part = self.constant(needle);
        let hay = self.operand(hay)?;
        match (&hay, part.as_ref().and_then(Value::as_str)) {
            (Operand::Field { .. } | Operand::Within(..), Some(part)) => {
                Ok(Test::Part(hay, Box::new(Finder::new(part).into_owned())))
            }
            _ => Ok(Test::In(self.operand(needle)?, hay)),
        }
    }

    fn named_test(&mut self, expr: &Expr<'_>, test: &ast::Test<'_>) -> Result<Test, Unfit> {
        match (test.name, &test.args[..]) {
            ("defined", []) => Ok(Test::Defined(self.operand(&test.expr)?)),
            ("undefined", []) => Ok(Test::Not(Box::new(Test::Defined(self.operand(&test.expr)?)))),
            ("none", []) => Ok(Test::Null(self.operand(&test.expr)?)),
            ("in", [CallArg::Pos(hay)]) => self.contains(&test.expr, hay),
            ("match" | "search" | "regex", [CallArg::Pos(pattern), options @ ..]) => {
                let text = self.constant(pattern);
                match (text.as_ref().and_then(Value::as_str), self.flags(options)) {
                    (Some(text), Some(flags)) => {
                        let anchor =
                            if test.name == "match" { Anchor::Start } else { Anchor::Anywhere };
                        // A match needs no more than to get to the text's end, which is
                        // before a last line feed too.
                        let end = if flags.contains('m') { "$" } else { r"(?:\n?\z)" };
                        let spelled = format!("{flags}{}", from_python(text, end));
                        match scan::pattern(&spelled, anchor) {
                            Ok(pattern) => Ok(Test::Matches(self.operand(&test.expr)?, pattern)),
                            Err(reason) => {
                                let options = Options {
                                    ignore_case: flags.contains('i'),
                                    multi_line: flags.contains('m'),
                                };
                                let looking = Pattern::new(text, options).map_err(|_| {
                                    let why =
                                        format!("`{text}` is not a regular expression: {reason}");
                                    self.unfit(pattern.span(), why)
                                })?;
                                let operand = self.operand(&test.expr)?;
                                Ok(Test::Looks(operand, Arc::new(looking), anchor))
                            }
                        }
                    }
                    _ => Ok(Test::True(self.library(expr)?)),
                }
            }
            _ => Ok(Test::True(self.library(expr)?)),
        }
    }

    /// Ansible's options of a pattern, as the pattern's own flags; `None` where they are none
    /// that are known beforehand.
    fn flags(&self, options: &[CallArg<'_>]) -> Option<String> {
        let mut flags = String::new();
        for option in options {
            let CallArg::Kwarg(name, value) = option else { return None };
            let flag = match *name {
                "ignorecase" => "(?i)",
                "multiline" => "(?m)",
                _ => return None,
            };
            if self.constant(value)?.is_true() {
                flags.push_str(flag);
            }
        }
        Some(flags)
    }

    fn operand(&mut self, expr: &Expr<'_>) -> Result<Operand, Unfit> {
        if let Some(value) = self.constant(expr) {
            return Ok(Operand::Constant(Made::of(&value)));
        }
        match expr {
            Expr::GetAttr(get) if !is_record(&get.expr) => {
                return self.within(expr, &get.expr, get.name);
            }
            Expr::GetItem(get) if !is_record(&get.expr) => {
                if let Expr::Const(name) = &get.subscript_expr
                    && let Some(name) = name.value.as_str()
                {
                    return self.within(expr, &get.expr, name);
                }
            }
            Expr::Filter(filter) => {
                if let (Some(kind), Some(inner), []) =
                    (Filter::named(filter.name), &filter.expr, &filter.args[..])
                {
                    return self.filtered(expr, inner, kind);
                }
            }
            Expr::Call(call) => match method(call) {
                Some((inner, "lower", [])) => return self.filtered(expr, inner, Filter::Lower),
                Some((inner, "upper", [])) => return self.filtered(expr, inner, Filter::Upper),
                _ => {}
            },
            _ => {}
        }
        let (name, otherwise) = match expr {
            Expr::Var(var) if var.id == "source" => return Ok(Operand::Source),
            Expr::Var(var) if var.id != "record" => {
                (var.id, self.names.variable(var.id).and_then(|value| Made::of(&value)))
            }
            Expr::GetAttr(get) if is_record(&get.expr) => (get.name, None),
            Expr::GetItem(get) if is_record(&get.expr) => match &get.subscript_expr {
                Expr::Const(name) if name.value.as_str().is_some() => {
                    let name = name.value.as_str().unwrap_or_default().to_owned();
                    return Ok(self.field(&name, None));
                }
                _ => return self.library(expr),
            },
            _ => return self.library(expr),
        };
        Ok(self.field(name, otherwise))
    }

    /// A name within something that is a field, or within a field.
    fn within(&mut self, whole: &Expr<'_>, inner: &Expr<'_>, name: &str) -> Result<Operand, Unfit> {
        let before = (self.fields.len(), self.library.len());
        match self.operand(inner)? {
            Operand::Within(base, mut names) => {
                names.push(name.to_owned());
                Ok(Operand::Within(base, names))
            }
            base @ Operand::Field { .. } => {
                Ok(Operand::Within(Box::new(base), vec![name.to_owned()]))
            }
            _ => {
                // What was noted for the inner part alone is not needed.
                self.fields.truncate(before.0);
                self.library.truncate(before.1);
                self.library(whole)
            }
        }
    }

    /// A filter on something that is a field, or within a field.
    fn filtered(
        &mut self,
        whole: &Expr<'_>,
        inner: &Expr<'_>,
        kind: Filter,
    ) -> Result<Operand, Unfit> {
        let before = (self.fields.len(), self.library.len());
        let base = self.operand(inner)?;
        if !matches!(base, Operand::Field { .. } | Operand::Within(..)) {
            self.fields.truncate(before.0);
            self.library.truncate(before.1);
            return self.library(whole);
        }
        match self.library(whole)? {
            Operand::Library(number) => Ok(Operand::Filtered(kind, Box::new(base), number)),
            other => Ok(other),
        }
    }

    /// `path.startswith('/api')`, where the part is known beforehand.
    fn at_an_end(
        &mut self,
        whole: &Expr<'_>,
        text: &Expr<'_>,
        part: &Expr<'_>,
        test: fn(Operand, String) -> Test,
    ) -> Result<Test, Unfit> {
        let part = self.constant(part);
        match part.as_ref().and_then(Value::as_str) {
            Some(part) => Ok(test(self.operand(text)?, part.to_owned())),
            None => Ok(Test::True(self.library(whole)?)),
        }
    }

    fn field(&mut self, name: &str, otherwise: Option<Made>) -> Operand {
        let slot = self.fields.iter().position(|known| known == name).unwrap_or_else(|| {
            self.fields.push(name.to_owned());
            self.fields.len() - 1
        });
        Operand::Field { name: name.to_owned(), slot, otherwise }
    }

    /// The value of what is the same for all records; undefined where a name has none.
    fn constant(&self, expr: &Expr<'_>) -> Option<Value> {
        match expr {
            Expr::Var(var) => self.names.reserved(var.id),
            Expr::GetAttr(get) => {
                Some(self.constant(&get.expr)?.get_attr(get.name).unwrap_or(Value::UNDEFINED))
            }
            Expr::GetItem(get) => {
                let key = get.subscript_expr.as_const()?;
                Some(self.constant(&get.expr)?.get_item(&key).unwrap_or(Value::UNDEFINED))
            }
            _ => expr.as_const(),
        }
    }

    fn library(&mut self, expr: &Expr<'_>) -> Result<Operand, Unfit> {
        let (mut text, mut uses) = (String::new(), Uses::default());
        unparse(expr, &mut uses, &mut text);
        let known = |call: String| {
            let value = self.names.environment().compile_expression(&call).and_then(|c| c.eval(()));
            !value.is_err_and(|error| {
                matches!(error.kind(), ErrorKind::UnknownFilter | ErrorKind::UnknownTest)
            })
        };
        if let Some(name) = uses.filters.iter().find(|name| !known(format!("none|{name}"))) {
            return Err(self.unfit(expr.span(), format!("there is no filter `{name}`")));
        }
        if let Some(name) = uses.tests.iter().find(|name| !known(format!("none is {name}"))) {
            return Err(self.unfit(expr.span(), format!("there is no test `{name}`")));
        }
        let is_field = |name: &&str| {
            self.names.reserved(name).is_none()
                && self.names.variable(name).is_none()
                && !matches!(*name, "record" | "source")
        };
        let fields = uses.names.into_iter().filter(is_field).map(str::to_owned).collect();
        self.library.push(Question { text, fields });
        Ok(Operand::Library(self.library.len() - 1))
    }

    fn unfit(&self, span: Span, reason: String) -> Unfit {
        Unfit::at(self.text, span.start_offset as usize, reason)
    }
}

fn is_record(expr: &Expr<'_>) -> bool {
    matches!(expr, Expr::Var(var) if var.id == "record")
}

/// The value that a method is called on, its name and its arguments.
fn method<'e, 'a>(call: &'e ast::Call<'a>) -> Option<(&'e Expr<'a>, &'a str, &'e [CallArg<'a>])> {
    match &call.expr {
        Expr::GetAttr(get) => Some((&get.expr, get.name, &call.args)),
        _ => None,
    }
}

impl Filter {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "lower" => Self::Lower,
            "upper" => Self::Upper,
            "int" => Self::Int,
            "float" => Self::Float,
            "length" | "count" => Self::Length,
            _ => return None,
        })
    }
}
