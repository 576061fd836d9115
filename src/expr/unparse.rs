//! A part of an expression as text again, so that the library can be given that part alone.

use minijinja::machinery::ast::{BinOpKind, CallArg, CompareOpKind, Expr, UnaryOpKind};
use minijinja::value::{Value, ValueKind};

/// What an expression uses by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses<'a> {
    pub(super) filters: Vec<&'a str>,
    pub(super) tests: Vec<&'a str>,
    pub(super) names: Vec<&'a str>,
    /// The functions to write in place of `-` and `%`.
    pub(super) operators: Option<(&'static str, &'static str)>,
}

impl Uses<'_> {
    fn function(&self, op: BinOpKind) -> Option<&'static str> {
        match (op, self.operators?) {
            (BinOpKind::Sub, (minus, _)) => Some(minus),
            (BinOpKind::Rem, (_, rest)) => Some(rest),
            _ => None,
        }
    }
}

/// Writes `expr` with every operation in parentheses.
pub(super) fn unparse<'a>(expr: &Expr<'a>, uses: &mut Uses<'a>, out: &mut String) {
    match expr {
        Expr::Var(var) => {
            uses.names.push(var.id);
            out.push_str(var.id);
        }
        Expr::Const(constant) => literal(&constant.value, out),
        Expr::Slice(slice) => {
            group(&slice.expr, uses, out);
            out.push('[');
            for (at, part) in [&slice.start, &slice.stop, &slice.step].into_iter().enumerate() {
                if at > 0 {
                    out.push(':');
                }
                if let Some(part) = part {
                    group(part, uses, out);
                }
            }
            out.push(']');
        }
        Expr::UnaryOp(op) => {
            out.push_str(match op.op {
                UnaryOpKind::Not => "not ",
                UnaryOpKind::Neg => "-",
            });
            group(&op.expr, uses, out);
        }
        Expr::BinOp(op) if uses.function(op.op).is_some() => {
            out.extend([uses.function(op.op).unwrap_or_default(), "("]);
            group(&op.left, uses, out);
            out.push_str(", ");
            group(&op.right, uses, out);
            out.push(')');
        }
        Expr::BinOp(op) => {
            group(&op.left, uses, out);
            out.push_str(operator(op.op));
            group(&op.right, uses, out);
        }
        Expr::Compare(compare) => {
            group(&compare.expr, uses, out);
            for op in &compare.ops {
                out.push_str(comparison(op.op));
                group(&op.expr, uses, out);
            }
        }
        Expr::IfExpr(choice) => {
            group(&choice.true_expr, uses, out);
            out.push_str(" if ");
            group(&choice.test_expr, uses, out);
            if let Some(other) = &choice.false_expr {
                out.push_str(" else ");
                group(other, uses, out);
            }
        }
        Expr::Filter(filter) => {
            uses.filters.push(filter.name);
            if let Some(expr) = &filter.expr {
                group(expr, uses, out);
            }
            out.push('|');
            out.push_str(filter.name);
            arguments(&filter.args, uses, out);
        }
        Expr::Test(test) => {
            uses.tests.push(test.name);
            group(&test.expr, uses, out);
            out.push_str(" is ");
            out.push_str(test.name);
            if !test.args.is_empty() {
                arguments(&test.args, uses, out);
            }
        }
        Expr::GetAttr(get) => {
            group(&get.expr, uses, out);
            out.push('.');
            out.push_str(get.name);
        }
        Expr::GetItem(get) => {
            group(&get.expr, uses, out);
            out.push('[');
            unparse(&get.subscript_expr, uses, out);
            out.push(']');
        }
        Expr::Call(call) => {
            match &call.expr {
                // A method: the parentheses must not come between it and its arguments.
                Expr::GetAttr(_) | Expr::Var(_) => unparse(&call.expr, uses, out),
                other => group(other, uses, out),
            }
            arguments(&call.args, uses, out);
        }
        Expr::List(list) => sequence(&list.items, "[", "]", uses, out),
        Expr::Tuple(tuple) => {
            // The comma at the end makes a tuple of one.
            sequence(&tuple.items, "(", if tuple.items.len() == 1 { ",)" } else { ")" }, uses, out);
        }
        Expr::Map(map) => {
            out.push('{');
            for (at, (key, value)) in map.keys.iter().zip(&map.values).enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                group(key, uses, out);
                out.push(':');
                group(value, uses, out);
            }
            out.push('}');
        }
    }
}

fn group<'a>(expr: &Expr<'a>, uses: &mut Uses<'a>, out: &mut String) {
    if let Expr::Var(_) | Expr::Const(_) | Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) = expr {
        return unparse(expr, uses, out);
    }
    out.push('(');
    unparse(expr, uses, out);
    out.push(')');
}

fn sequence<'a>(
    items: &[Expr<'a>],
    open: &str,
    close: &str,
    uses: &mut Uses<'a>,
    out: &mut String,
) {
    out.push_str(open);
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { ", " });
        group(item, uses, out);
    }
    out.push_str(close);
}

fn arguments<'a>(args: &[CallArg<'a>], uses: &mut Uses<'a>, out: &mut String) {
    out.push('(');
    for (at, arg) in args.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { ", " });
        let value = match arg {
            CallArg::Pos(value) => value,
            CallArg::Kwarg(name, value) => {
                out.push_str(name);
                out.push('=');
                value
            }
            CallArg::PosSplat(value) => {
                out.push('*');
                value
            }
            CallArg::KwargSplat(value) => {
                out.push_str("**");
                value
            }
        };
        group(value, uses, out);
    }
    out.push(')');
}

/// A constant. Jinja's strings know JSON's escapes.
fn literal(value: &Value, out: &mut String) {
    match value.kind() {
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::None | ValueKind::Undefined => out.push_str("none"),
        _ => match value.as_str() {
            Some(text) => out.push_str(&serde_json::Value::from(text).to_string()),
            // A negative number would bind less than what follows it.
            None => out.push_str(&format!("({value})")),
        },
    }
}

fn operator(op: BinOpKind) -> &'static str {
    match op {
        BinOpKind::Eq => " == ",
        BinOpKind::Ne => " != ",
        BinOpKind::Lt => " < ",
        BinOpKind::Lte => " <= ",
        BinOpKind::Gt => " > ",
        BinOpKind::Gte => " >= ",
        BinOpKind::ScAnd => " and ",
        BinOpKind::ScOr => " or ",
        BinOpKind::Add => " + ",
        BinOpKind::Sub => " - ",
        BinOpKind::Mul => " * ",
        BinOpKind::Div => " / ",
        BinOpKind::FloorDiv => " // ",
        BinOpKind::Rem => " % ",
        BinOpKind::Pow => " ** ",
        BinOpKind::Concat => " ~ ",
        BinOpKind::In => " in ",
    }
}

fn comparison(op: CompareOpKind) -> &'static str {
    match op {
        CompareOpKind::Eq => " == ",
        CompareOpKind::Ne => " != ",
        CompareOpKind::Lt => " < ",
        CompareOpKind::Lte => " <= ",
        CompareOpKind::Gt => " > ",
        CompareOpKind::Gte => " >= ",
        CompareOpKind::In => " in ",
        CompareOpKind::NotIn => " not in ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::jinja::Engine;
    use minijinja::context;
    use minijinja::machinery::parse_expr;

    #[test]
    fn what_is_written_again_means_the_same() {
        let engine = Engine::new();
        let environment = engine.environment();
        let scope = context! { a => 5, b => [1, 2, 3], s => "x\"y\\\n", m => context! { k => 7 } };
        for text in [
            "-a ** 2 + (a - 1) * 3",
            "b[0:2] | length + a",
            "s ~ 'é\"\\\\\\n' ~ m.k",
            "'y' if a > 3 else 'n'",
            "m['k'] in b or not a == 5",
            "1 < a <= 5 < 9",
            "a not in [1, (2, 3), {'k': 1}]",
            "b | join(', ') | upper",
            "(b | first) is odd and a is divisibleby 5",
            "range(3) | list",
            "m.items() | list | length",
            "a // 2 % 2 / 4",
            "(1,)",
            "-1.5",
            "b[::2]",
            "b | sort(reverse=true)",
        ] {
            let mut again = String::new();
            unparse(&parse_expr(text).unwrap(), &mut Uses::default(), &mut again);
            let value = |text: &str| {
                let compiled = environment.compile_expression(text).map_err(|e| e.to_string());
                compiled.and_then(|c| c.eval(&scope).map_err(|e| e.to_string()))
            };
            let (first, second) = (value(text), value(&again));
            assert_eq!(first.as_ref().ok(), second.as_ref().ok(), "{text} / {again}: {second:?}");
            assert!(first.is_ok(), "{text}: {first:?}");
        }
    }
}
