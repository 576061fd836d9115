//! The one Jinja set-up: strict about undefined names, limited in how long an expression may run.

use super::called;
use super::includes::{self, MAIN};
use super::lenient::Backslash;
use super::scope::Scope;
use super::syntax::{LastLineEnd, Syntax};
use super::value::{from_node, holds_undefined, is_omit, to_node};
use super::{filters, functions, lenient, lookups, methods, suggest, tests};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Node, Value as Tree};
use indexmap::IndexMap;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

pub use super::problem::Problem;

/// Instructions that one expression or template may run.
const FUEL: u64 = 5_000_000;

/// Renders and evaluates. One for the whole process is enough.
#[derive(Debug)]
pub struct Engine {
    environment: Environment<'static>,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// The engine with all filters and tests.
    pub fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(methods::call);
        if let Ok(syntax) = Syntax::default().config(LastLineEnd::Kept) {
            environment.set_syntax(syntax);
        }
        filters::register(&mut environment);
        tests::register(&mut environment);
        functions::register(&mut environment);
        lenient::register(&mut environment);
        lookups::register(&mut environment);
        Self { environment }
    }

    /// The filters, tests and limits, for expressions on records, which have names of their own.
    pub(super) fn environment(&self) -> &Environment<'static> {
        &self.environment
    }

    /// Whether some string of `node` holds an expression or statement.
    pub fn holds_expression(node: &Node) -> bool {
        match &node.value {
            Tree::String(text) => is_template(text),
            Tree::List(items) => items.iter().any(Self::holds_expression),
            Tree::Map(entries) => entries
                .iter()
                .any(|(key, node)| is_template(&key.name) || Self::holds_expression(node)),
            _ => false,
        }
    }

    /// The value of an expression without braces, as in `when`.
    pub fn evaluate(&self, expression: &str, scope: &Scope) -> Result<Value, Problem> {
        let spelled = lenient::expression(expression, Backslash::Escapes);
        let evaluate = || -> Result<Value, Error> {
            self.environment.compile_expression(&spelled)?.eval(scope.as_value())
        };
        settled(evaluate().map_err(|error| explained(error, scope))?)
    }

    /// The value of an expression that another one has made. It may hold what anybody wrote, such
    /// as the output of a program, so that it may compare, and not read files or run programs.
    pub fn evaluate_made(&self, expression: &str, scope: &Scope) -> Result<Value, Problem> {
        if let Ok(compiled) = self.environment.compile_expression(expression) {
            let names = compiled.undeclared_variables(false);
            let called = ["lookup", "query", "q"].into_iter().find(|name| names.contains(*name));
            if let Some(name) = called {
                let why = format!("what an expression has made may not call `{name}`");
                let hint = "write the condition itself, without braces";
                return Err(Problem { hint: Some(hint.into()), ..Problem::new(why) });
            }
        }
        self.evaluate(expression, scope)
    }

    /// Whether a condition holds. As in Ansible it may be text with braces, or a truth value.
    pub fn holds(&self, condition: &Node, scope: &Scope) -> Result<bool, Problem> {
        self.condition(condition, scope).map_err(|problem| problem.located(condition.span.as_ref()))
    }

    fn condition(&self, condition: &Node, scope: &Scope) -> Result<bool, Problem> {
        let value = match &condition.value {
            Tree::String(text) if is_template(text) => {
                let rendered = self.render(text, scope)?;
                match rendered.as_str() {
                    Some(text) => self.evaluate_made(text, scope)?,
                    None => rendered,
                }
            }
            Tree::String(text) => self.evaluate(text, scope)?,
            _ => from_node(condition),
        };
        if value.is_undefined() {
            let text = condition.scalar_text().unwrap_or_default();
            let hint =
                "test it first: `x is defined and …`, or give it a value: `x | default(false)`";
            let problem = Problem::new(format!("`{text}` is undefined"));
            return Err(Problem { hint: Some(hint.into()), ..problem });
        }
        Ok(value.is_true())
    }

    /// Renders a string. One that is a single `{{ expression }}`, perhaps with a line end behind
    /// it, yields the expression's own value, of whatever type; any other yields text.
    pub fn render(&self, text: &str, scope: &Scope) -> Result<Value, Problem> {
        if !is_template(text) {
            return Ok(text.into());
        }
        let most = text.strip_suffix('\n').unwrap_or(text);
        if let Some(expression) = sole_expression(most)
            && let spelled = lenient::expression(expression, Backslash::Plain)
            && let Ok(compiled) = self.environment.compile_expression(&spelled)
        {
            let value = compiled.eval(scope.as_value());
            let value = settled(value.map_err(|error| explained(error, scope))?)?;
            if value.is_undefined() {
                let message = format!("`{}` is undefined", expression.trim());
                return Err(hinted(Problem::new(message), scope));
            }
            return Ok(match value.as_str() {
                Some(rendered) if most != text => with_line_ends_of(text, rendered.into()).into(),
                _ => value,
            });
        }
        let spelled = lenient::template(most, self.environment.syntax(), Backslash::Plain);
        let rendered = self.environment.render_str(&spelled, scope.as_value());
        let rendered = rendered.map_err(|error| explained(error, scope))?;
        Ok(with_line_ends_of(text, rendered).into())
    }

    /// Renders all strings of a tree, into a Jinja value.
    pub fn render_value(&self, node: &Node, scope: &Scope) -> Result<Value, Problem> {
        Ok(match &node.value {
            Tree::String(text) => self.render(text, scope)?,
            Tree::List(items) => {
                let items = items.iter().map(|item| self.render_value(item, scope));
                items.collect::<Result<Vec<_>, _>>()?.into()
            }
            Tree::Map(entries) => {
                let mut map = IndexMap::new();
                for (key, node) in entries {
                    map.insert(self.render(&key.name, scope)?, self.render_value(node, scope)?);
                }
                map.into()
            }
            _ => from_node(node),
        })
    }

    /// Renders all strings of a tree, keeping places and types. An entry or item whose value is
    /// `omit` is left out.
    pub fn render_node(&self, node: &Node, scope: &Scope) -> Result<Node, Problem> {
        Ok(self.render_or_omit(node, scope)?.unwrap_or_else(|| Node::new(Tree::Null)))
    }

    fn render_or_omit(&self, node: &Node, scope: &Scope) -> Result<Option<Node>, Problem> {
        let value = match &node.value {
            Tree::String(text) if is_template(text) => {
                let value = self.render(text, scope).map_err(|e| e.located(node.span.as_ref()))?;
                if is_omit(&value) {
                    return Ok(None);
                }
                if holds_undefined(&value) {
                    let problem =
                        Problem::new(format!("`{}` holds an undefined value", text.trim()));
                    return Err(problem.located(node.span.as_ref()));
                }
                to_node(&value).value
            }
            Tree::List(items) => {
                let items =
                    items.iter().filter_map(|item| self.render_or_omit(item, scope).transpose());
                Tree::List(items.collect::<Result<_, _>>()?)
            }
            Tree::Map(entries) => {
                let mut rendered = Vec::with_capacity(entries.len());
                for (key, node) in entries {
                    let mut key = key.clone();
                    if is_template(&key.name) {
                        let name = self.render(&key.name, scope);
                        let name = name.map_err(|e| e.located(key.span.as_ref()))?;
                        key.name = name.to_string().into();
                    }
                    rendered.extend(self.render_or_omit(node, scope)?.map(|node| (key, node)));
                }
                Tree::Map(rendered)
            }
            other => other.clone(),
        };
        Ok(Some(Node { value, span: node.span.clone() }))
    }

    /// The names that a string's expressions read from the scope.
    ///
    /// # Errors
    /// Where the string is not valid Jinja.
    pub fn names_in(&self, text: &str) -> Result<Vec<String>, Problem> {
        let template = self.environment.template_from_str(text)?;
        Ok(template.undeclared_variables(false).into_iter().collect())
    }

    /// Renders a template file's text. It ends with as many line ends as the text does, or more.
    pub fn template(&self, text: &str, syntax: Syntax, scope: &Scope) -> Result<String, Problem> {
        let (text, syntax) = syntax.with_header(text)?;
        let mut environment = self.environment.clone();
        // A template that is included leaves its last line end out, as in Jinja.
        let syntax = syntax.config(LastLineEnd::Dropped)?;
        environment.set_syntax(syntax.clone());
        if let Some(host) = scope.host() {
            includes::allow(&mut environment, host, syntax.clone());
        }
        let spelled = lenient::template(text, &syntax, Backslash::Escapes);
        let rendered = environment.render_named_str(MAIN, &spelled, scope.as_value());
        let rendered = rendered.map_err(|error| explained(error, scope))?;
        Ok(with_line_ends_of(text, rendered))
    }

    /// Complains about the strings of `node` that are not valid Jinja, without running any.
    pub fn check(&self, node: &Node, complaints: &mut Vec<Diagnostic>) {
        match &node.value {
            Tree::String(text) if is_template(text) => {
                let sole = sole_expression(text);
                let sole = sole.filter(|text| self.environment.compile_expression(text).is_ok());
                if sole.is_none()
                    && let Err(error) = self.environment.template_from_str(text)
                {
                    complaints.push(Problem::from(error).at(node.span.as_ref()));
                    return;
                }
                self.check_called(text, false, node, complaints);
            }
            Tree::List(items) => items.iter().for_each(|item| self.check(item, complaints)),
            Tree::Map(entries) => entries.iter().for_each(|(_, node)| self.check(node, complaints)),
            _ => {}
        }
    }

    /// Complains about a condition that is not a valid expression, without running it.
    pub fn check_condition(&self, node: &Node, complaints: &mut Vec<Diagnostic>) {
        match &node.value {
            Tree::String(text) if !is_template(text) => {
                match self.environment.compile_expression(text) {
                    Ok(_) => self.check_called(text, true, node, complaints),
                    Err(error) => {
                        let complaint = Problem::from(error).at(node.span.as_ref());
                        let compared = ["==", "!=", "<=", ">="];
                        let rest = compared
                            .iter()
                            .fold(text.to_string(), |rest, sign| rest.replace(sign, ""));
                        let assigns = rest.contains('=') && complaint.hint.is_none();
                        complaints.push(if assigns {
                            complaint.hint("`==` compares")
                        } else {
                            complaint
                        });
                    }
                }
            }
            _ => self.check(node, complaints),
        }
    }

    fn check_called(
        &self,
        text: &str,
        is_expression: bool,
        node: &Node,
        complaints: &mut Vec<Diagnostic>,
    ) {
        let called = called::check(text, is_expression, &self.environment);
        complaints.extend(called.err().map(|problem| problem.at(node.span.as_ref())));
    }
}

/// The problem, with a hint where a name is like one that is known.
fn explained(error: Error, scope: &Scope) -> Problem {
    let kind = error.kind();
    let problem = Problem::from(error);
    if kind == ErrorKind::UndefinedError { hinted(problem, scope) } else { problem }
}

fn hinted(problem: Problem, scope: &Scope) -> Problem {
    let name =
        problem.message.strip_prefix('`').and_then(|rest| rest.strip_suffix("` is undefined"));
    let Some(name) = name.filter(|_| problem.hint.is_none()) else { return problem };
    let known = scope.known_names();
    let near = suggest::nearest(name, known.iter().map(String::as_str));
    Problem { hint: near.map(|near| format!("did you mean `{near}`?")), ..problem }
}

/// Turns a value that is an error into that error.
fn settled(value: Value) -> Result<Value, Problem> {
    if value.kind() == ValueKind::Invalid {
        let problem = value.get_attr("").err().map(Problem::from);
        return Err(problem.unwrap_or_else(|| Problem::new("this has no value")));
    }
    Ok(value)
}

/// Blocks at the end swallow line ends of the source; Ansible gives back those that are missing.
fn with_line_ends_of(source: &str, mut rendered: String) -> String {
    let at_end = |text: &str| text.len() - text.trim_end_matches('\n').len();
    let missing = at_end(source).saturating_sub(at_end(&rendered));
    rendered.extend(std::iter::repeat_n('\n', missing));
    rendered
}

/// Whether Jinja has anything to do in `text`.
pub fn is_template(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'{', bytes).any(|at| matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#')))
}

/// What stands between the braces where `text` is nothing but one pair of them. The caller finds
/// out by compiling whether it really is one expression: `a }} {{ b` is none.
pub(super) fn sole_expression(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner))
}

#[cfg(test)]
mod unit {
    use super::*;
    use crate::event::tree::{SourceFile, Span};
    use crate::expr::value::{from_json, omit};
    use std::path::Path;
    use std::sync::Arc;

    fn scope() -> Scope {
        let variables = serde_json::json!({
            "n": 5, "s": "a b", "list": [1, 2], "m": {"a": 1, "b": {"c": 2}}, "yes": "yes",
            "done": {"changed": true, "failed": false, "rc": 0}
        });
        let scope = Scope::new(Arc::new(Engine::new()));
        let variables = from_json(&variables);
        super::super::value::pairs(&variables)
            .into_iter()
            .fold(scope, |scope, (name, value)| scope.with_local(&name, value))
    }

    #[test]
    fn line_ends_at_the_end_are_those_of_the_source_at_least() {
        let scope = scope();
        for (text, value) in [
            ("{{ list }}\n", "[1, 2]"),
            ("{{ n }}", "5"),
            ("{{ s }}\n", r"'a b\n'"),
            ("{{ 'x\n' }}\n", r"'x\n'"),
            ("{{ s }}\n\n", r"'a b\n\n'"),
            ("- {{ n }}\n", r"'- 5\n'"),
            ("x{% if n %}y{% endif %}\n", r"'xy\n'"),
        ] {
            assert_eq!(
                format!("{:?}", scope.engine().render(text, &scope).unwrap()),
                value,
                "{text:?}"
            );
        }
        for (text, value) in [
            ("{% for i in list %}\n{{ i }}\n{% endfor %}\n", "1\n2\n"),
            ("{% if not n %}\nx\n{% endif %}\n", "\n"),
            ("a{% if n %}b{% endif %}\n", "ab\n"),
            ("{{ 'x\n' }}\n", "x\n"),
            ("a\n\n", "a\n\n"),
        ] {
            let rendered = scope.engine().template(text, Syntax::default(), &scope);
            assert_eq!(rendered.unwrap(), value, "{text:?}");
        }
    }

    /// What each expression yields, in Python's notation, which is Jinja's.
    #[test]
    fn expressions_mean_what_they_mean_in_ansible() {
        let scope = scope();
        for (expression, value) in [
            ("n + 1", "6"),
            ("s | upper ~ '!'", "'A B!'"),
            ("nope | default('x')", "'x'"),
            ("'' | default('x', true)", "'x'"),
            ("yes | bool", "True"),
            ("'off' | bool", "False"),
            ("done is changed and done is success and done is not failed", "True"),
            ("done is skipped", "False"),
            ("'abc' is match('b')", "False"),
            ("'abc' is search('B', ignorecase=true)", "True"),
            ("'1.10' is version('1.9', '>')", "True"),
            ("m | to_json", "'{\"a\": 1, \"b\": {\"c\": 2}}'"),
            ("'[1, {}]' | from_json", "[1, {}]"),
            ("'hi' | b64encode | b64decode", "'hi'"),
            ("'a1b2' | regex_replace('([0-9])', '<\\\\1>')", "'a<1>b<2>'"),
            ("'foo=bar' | regex_search('(\\w+)=(\\w+)', '\\\\2')", "['bar']"),
            ("'x' | regex_search('y')", "None"),
            ("'a1b2' | regex_findall('[0-9]')", "['1', '2']"),
            ("'/a/b.c' | basename", "'b.c'"),
            ("'/a/b.c' | dirname", "'/a'"),
            ("m | combine({'b': {'d': 3}}, recursive=true)", "{'a': 1, 'b': {'c': 2, 'd': 3}}"),
            ("{'k': 1} | dict2items", "[{'key': 'k', 'value': 1}]"),
            ("[{'key': 'k', 'value': 1}] | items2dict", "{'k': 1}"),
            ("(n > 3) | ternary('big', 'small')", "'big'"),
            ("'a b' | quote", "\"'a b'\""),
            ("'' | hash('sha1')", "'da39a3ee5e6b4b0d3255bfef95601890afd80709'"),
            ("[1, [2, [3]]] | flatten", "[1, 2, 3]"),
            ("list | union([2, 3])", "[1, 2, 3]"),
            ("list | difference([2])", "[1]"),
            ("'a,b'.split(',')", "['a', 'b']"),
            ("m.get('z', 9)", "9"),
            ("m.keys() | list", "['a', 'b']"),
            ("facts is not defined", "True"),
        ] {
            let found = match scope.engine().evaluate(expression, &scope) {
                Ok(value) => format!("{value:?}"),
                Err(problem) => format!("error: {problem}"),
            };
            assert_eq!(found, value, "{expression}");
        }
    }

    #[test]
    fn a_string_that_is_one_expression_keeps_the_type() {
        let scope = scope();
        let render = |text| format!("{:?}", scope.engine().render(text, &scope).unwrap());
        assert_eq!(render("{{ n }}"), "5");
        assert_eq!(render("{{- list -}}"), "[1, 2]");
        assert_eq!(render("{{ {'x': {'y': n}} }}"), "{'x': {'y': 5}}");
        assert_eq!(render("{{ n }}{{ n }}"), "'55'");
        assert_eq!(render("{{ n }} "), "'5 '");
        assert_eq!(render("{{ '}} {{' }}"), "'}} {{'");
        assert_eq!(render("{{ true }} {{ none }} {{ ['a'] }}"), "\"True None ['a']\"");
        assert_eq!(render("plain"), "'plain'");
    }

    #[test]
    fn an_undefined_name_is_an_error_with_the_line_of_the_template() {
        let scope = scope();
        let engine = scope.engine();
        let problem = engine.template("a\n{{ m.zz.y }}\n", Syntax::default(), &scope).unwrap_err();
        assert_eq!((problem.message.as_str(), problem.line), ("`m.zz` is undefined", Some(2)));
        assert_eq!(engine.render("{{ nope }}", &scope).unwrap_err().message, "`nope` is undefined");
    }

    #[test]
    fn a_loop_without_end_is_stopped() {
        let text = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        let scope = scope();
        let problem = scope.engine().template(text, Syntax::default(), &scope).unwrap_err();
        assert_eq!(problem.message, "the expression runs too long and was stopped");
    }

    #[test]
    fn a_template_keeps_its_last_line_end_and_drops_those_of_blocks() {
        let scope = scope();
        let text = "{% if true %}\nx\n{% endif %}\n";
        let rendered = scope.engine().template(text, Syntax::default(), &scope).unwrap();
        assert_eq!(rendered, "x\n");
    }

    #[test]
    fn a_rendered_tree_keeps_its_places_and_drops_what_is_omitted() {
        let file = SourceFile::new(Path::new("a.yml").into(), "a: '{{ n }}'".into());
        let span = Span { file: Arc::new(file), start: 3, end: 12 };
        let number = Node { value: Tree::String("{{ n }}".into()), span: Some(span.clone()) };
        let gone = Node::string("{{ x | default(omit) }}");
        let literal = Node::new(Tree::Unsafe("{{ n }}".into()));
        let entries = [("a", number), ("b", gone), ("c", literal)];
        let tree = Tree::Map(entries.map(|(name, node)| (name.into(), node)).into());

        let scope = scope().with_local("omit", omit());
        let rendered = scope.engine().render_node(&Node::new(tree), &scope).unwrap();
        assert_eq!(rendered.get("a").unwrap().value, Tree::Int { value: 5, text: "5".into() });
        assert_eq!(rendered.get("a").unwrap().span, Some(span));
        assert!(rendered.get("b").is_none());
        assert_eq!(rendered.get("c").unwrap().as_str(), Some("{{ n }}"));
    }
}
