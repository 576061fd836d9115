//! The names that an expression may use, and where each comes from.
//!
//! Variables are rendered when an expression reads them, not before: a variable may use others
//! that are defined later, and one that cannot be rendered harms nobody who does not read it.

use super::host::Host;
use super::jinja::Engine;
use super::value::{from_node, omit};
use crate::event::secret::{Masker, SHORTEST_SECRET, SecretText, Secrets};
use crate::event::tree::Node;
use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, Value};
use minijinja::{Error, ErrorKind, State};
use std::sync::{Arc, Mutex, PoisonError};

/// The name under which filters find the scope again. No expression can spell it.
const ITSELF: &str = "\0scope";

/// Unrendered variables under their names.
pub type Vars = IndexMap<String, Node>;

/// Names that no variable can take: they always mean the same thing.
pub const RESERVED: [&str; 6] = ["facts", "vars", "secrets", "host", "source", "omit"];

/// Everything that an expression may read. Cheap to clone; each `with_` method leaves the
/// original as it is.
#[derive(Clone, Debug)]
pub struct Scope {
    names: Arc<Names>,
}

/// Where names are looked up, strongest first: locals, then overriding variables, then parameters,
/// then results, then variables from the innermost layer outwards, then the fixed names.
#[derive(Debug)]
struct Names {
    engine: Arc<Engine>,
    fixed: Arc<IndexMap<String, Value>>,
    layers: Vec<Arc<Vars>>,
    results: Arc<IndexMap<String, Value>>,
    params: Vec<Arc<Vars>>,
    overriding: Arc<Vars>,
    locals: IndexMap<String, Value>,
    host: Option<Arc<dyn Host>>,
    masker: Option<Masker>,
    /// Variables that are being rendered right now, to notice one that needs itself.
    rendering: Mutex<Vec<String>>,
}

impl Clone for Names {
    fn clone(&self) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            fixed: Arc::clone(&self.fixed),
            layers: self.layers.clone(),
            results: Arc::clone(&self.results),
            params: self.params.clone(),
            overriding: Arc::clone(&self.overriding),
            locals: self.locals.clone(),
            host: self.host.clone(),
            masker: self.masker.clone(),
            rendering: Mutex::default(),
        }
    }
}

impl Scope {
    /// A scope that knows no name but `vars` and `omit`.
    pub fn new(engine: Arc<Engine>) -> Self {
        let fixed = Arc::new(IndexMap::from([("omit".to_owned(), omit())]));
        let names = Names {
            engine,
            fixed,
            layers: Vec::new(),
            results: Arc::default(),
            params: Vec::new(),
            overriding: Arc::default(),
            locals: IndexMap::new(),
            host: None,
            masker: None,
            rendering: Mutex::default(),
        };
        Self { names: Arc::new(names) }
    }

    fn with(&self, change: impl FnOnce(&mut Names)) -> Self {
        let mut names = (*self.names).clone();
        change(&mut names);
        Self { names: Arc::new(names) }
    }

    /// The same with a name that a variable of the same name hides (`host`, `facts`, `secrets`
    /// cannot be hidden, since such variables are refused where they are written).
    #[must_use]
    pub fn with_fixed(&self, name: &str, value: Value) -> Self {
        self.with(|names| {
            Arc::make_mut(&mut names.fixed).insert(name.to_owned(), value);
        })
    }

    /// The same with secrets to be read as `secrets.NAME`. Whoever shows what was rendered must
    /// mask it.
    #[must_use]
    pub fn with_secrets(&self, secrets: Secrets) -> Self {
        self.with_fixed("secrets", Value::from_object(SecretNames(secrets)))
    }

    /// The same with variables that hide those of the layers before.
    #[must_use]
    pub fn with_vars(&self, vars: Arc<Vars>) -> Self {
        self.with(|names| names.layers.push(vars))
    }

    /// The same with variables that hide all others and results too (`--extra-vars`).
    #[must_use]
    pub fn with_overriding(&self, vars: Arc<Vars>) -> Self {
        self.with(|names| names.overriding = vars)
    }

    /// The same with what a role or an include was given: it hides variables and results.
    #[must_use]
    pub fn with_params(&self, params: Arc<Vars>) -> Self {
        self.with(|names| names.params.push(params))
    }

    /// The same with registered results and what `set_fact` set, in place of those before.
    #[must_use]
    pub fn with_results(&self, results: Arc<IndexMap<String, Value>>) -> Self {
        self.with(|names| names.results = results)
    }

    /// The same with a name that hides every other: a loop's variable.
    #[must_use]
    pub fn with_local(&self, name: &str, value: Value) -> Self {
        self.with(|names| {
            names.locals.insert(name.to_owned(), value);
        })
    }

    /// The same where look-ups and tests may look at `host`.
    #[must_use]
    pub fn with_host(&self, host: Arc<dyn Host>) -> Self {
        self.with(|names| names.host = Some(host))
    }

    /// The same where what filters make of secrets is masked as they are.
    #[must_use]
    pub fn with_masker(&self, masker: Masker) -> Self {
        self.with(|names| names.masker = Some(masker))
    }

    /// What look-ups and tests may look at.
    pub fn host(&self) -> Option<Arc<dyn Host>> {
        self.names.host.clone()
    }

    /// The scope of an expression that is running; `None` where it is one on records.
    pub(super) fn of(state: &State<'_, '_>) -> Option<Self> {
        let root = state.lookup(ITSELF)?;
        root.downcast_object_ref::<Root>().map(|root| root.0.clone())
    }

    /// Where `from` holds a secret and `made` would not be masked, makes a secret of `made`.
    pub(super) fn keep_secret(&self, from: &Value, made: &str) {
        let Some(masker) = &self.names.masker else { return };
        if made.len() < SHORTEST_SECRET
            || masker.reveals(made)
            || !masker.reveals(&from.to_string())
        {
            return;
        }
        self.make_secret(made);
    }

    /// From now on masks `text` as a secret.
    pub(super) fn make_secret(&self, text: &str) {
        let Some(masker) = self.names.masker.as_ref().filter(|_| text.len() >= SHORTEST_SECRET)
        else {
            return;
        };
        if !masker.reveals(text) {
            let secret = SecretText::new(text.to_owned());
            masker.add(&[("derived".to_owned(), secret)].into_iter().collect());
        }
    }

    /// The names of variables and of what else can be read.
    pub(super) fn known_names(&self) -> Vec<String> {
        let names = &self.names;
        let known = names.known().into_iter().map(|name| name.to_string());
        known.chain(names.fixed.keys().cloned()).chain(names.locals.keys().cloned()).collect()
    }

    /// The engine that renders the variables.
    pub fn engine(&self) -> &Engine {
        &self.names.engine
    }

    /// What `name` means, rendered; undefined where nothing has that name.
    pub fn lookup(&self, name: &str) -> Value {
        self.names.lookup(name, self).unwrap_or(Value::UNDEFINED)
    }

    /// The scope as Jinja takes it.
    pub(super) fn as_value(&self) -> Value {
        Value::from_object(Root(self.clone()))
    }
}

impl Names {
    fn lookup(&self, name: &str, scope: &Scope) -> Option<Value> {
        if let Some(value) = self.locals.get(name) {
            return Some(value.clone());
        }
        if name == "vars" {
            return Some(Value::from_object(Variables(scope.clone())));
        }
        if let Some(node) = self.overriding.get(name) {
            return Some(self.render(name, node, scope));
        }
        if let Some(node) = self.params.iter().rev().find_map(|params| params.get(name)) {
            return Some(self.render(name, node, scope));
        }
        if let Some(value) = self.results.get(name) {
            return Some(value.clone());
        }
        match self.layers.iter().rev().find_map(|layer| layer.get(name)) {
            Some(node) => Some(self.render(name, node, scope)),
            None => self.fixed.get(name).cloned().or_else(|| self.ansible_fact(name)),
        }
    }

    /// `ansible_NAME`, the older spelling of `ansible_facts.NAME`.
    fn ansible_fact(&self, name: &str) -> Option<Value> {
        let short = name.strip_prefix("ansible_")?;
        let value = self.fixed.get("ansible_facts")?.get_attr(short).ok()?;
        (!value.is_undefined()).then_some(value)
    }

    /// Renders one variable. What goes wrong becomes the value, so that it is reported by the
    /// expression that asked.
    fn render(&self, name: &str, node: &Node, scope: &Scope) -> Value {
        if !Engine::holds_expression(node) {
            return from_node(node);
        }
        {
            let mut rendering = self.rendering.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = rendering.iter().position(|other| other == name) {
                let mut circle = rendering[at..].to_vec();
                circle.push(name.to_owned());
                let why = format!("the variable `{name}` needs itself: {}", circle.join(" → "));
                return Error::new(ErrorKind::InvalidOperation, why).into();
            }
            rendering.push(name.to_owned());
        }
        let value = self.engine.render_value(node, scope);
        self.rendering.lock().unwrap_or_else(PoisonError::into_inner).pop();
        value.unwrap_or_else(|problem| problem.inside(name, node.span.as_ref()).into_value())
    }

    fn known(&self) -> Vec<Value> {
        let layers = self.layers.iter().chain(&self.params);
        let vars = layers.chain([&self.overriding]).flat_map(|layer| layer.keys());
        let mut names: Vec<&String> = vars.chain(self.results.keys()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(Value::from).collect()
    }
}

/// What Jinja asks for names.
#[derive(Debug)]
struct Root(Scope);

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if key == ITSELF {
            return Some(Value::from_dyn_object(Arc::clone(self)));
        }
        self.0.names.lookup(key, &self.0)
    }
}

/// The name `secrets`: each is looked up by its own name, and all together they have no text.
#[derive(Debug)]
struct SecretNames(Secrets);

impl Object for SecretNames {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_str()?).map(|secret| Value::from(secret.expose()))
    }
}

/// The name `vars`: the variables, without facts and the other fixed names.
#[derive(Debug)]
struct Variables(Scope);

impl Object for Variables {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (name, names) = (key.as_str()?, &self.0.names);
        let fixed = names.fixed.contains_key(name)
            && !names.layers.iter().any(|layer| layer.contains_key(name));
        if fixed || name == "vars" { None } else { names.lookup(name, &self.0) }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.names.known())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::value::from_json;

    fn scope(vars: &[(&str, &str)]) -> Scope {
        let vars = vars.iter().map(|(name, text)| ((*name).to_owned(), Node::string(text)));
        Scope::new(Arc::new(Engine::new()))
            .with_fixed("host", "web1".into())
            .with_fixed("facts", from_json(&serde_json::json!({"os": {"family": "debian"}})))
            .with_vars(Arc::new(vars.collect()))
    }

    fn rendered(text: &str, scope: &Scope) -> String {
        match scope.engine().render(text, scope) {
            Ok(value) => format!("{value:?}"),
            Err(problem) => format!("error: {problem}"),
        }
    }

    #[test]
    fn a_variable_may_use_one_that_is_defined_later() {
        let scope = scope(&[
            ("url", "http://{{ name }}:{{ vars.port }}"),
            ("name", "{{ host }}"),
            ("port", "80"),
        ]);
        assert_eq!(rendered("{{ url }}", &scope), "'http://web1:80'");
    }

    #[test]
    fn a_variable_that_needs_itself_is_reported_with_the_whole_circle() {
        let scope = scope(&[("a", "{{ b }}"), ("b", "x{{ a }}")]);
        let circle = "error: the variable `a` needs itself: a → b → a";
        assert_eq!(rendered("{{ a }}", &scope), circle);
        assert_eq!(rendered("{{ 1 }}", &scope), "1", "nobody else is harmed");
    }

    #[test]
    fn a_broken_variable_names_itself_even_from_afar() {
        let scope = scope(&[("a", "{{ nope }}"), ("b", "{{ a }}")]);
        let problem = scope.engine().render("is {{ b }}", &scope).unwrap_err();
        assert_eq!(problem.message, "`nope` is undefined");
        assert_eq!(problem.variable.unwrap().0, "a");
        assert_eq!(rendered("{{ b is defined }}", &scope), "error: `nope` is undefined");
    }

    #[test]
    fn the_nearest_definition_wins() {
        let results = Arc::new(IndexMap::from([("x".to_owned(), Value::from("set"))]));
        let extra = Arc::new(Vars::from([("x".to_owned(), Node::string("extra"))]));
        let scope = scope(&[("x", "file")]);
        assert_eq!(rendered("{{ x }}", &scope), "'file'");
        let scope = scope.with_results(results);
        assert_eq!(rendered("{{ x }}", &scope), "'set'");
        let scope = scope.with_overriding(extra);
        assert_eq!(rendered("{{ x }} {{ vars.x }}", &scope), "'extra extra'");
        assert_eq!(rendered("{{ x }}", &scope.with_local("x", 1.into())), "1");
    }

    #[test]
    fn what_depends_on_a_later_task_is_told_from_what_is_wrong() {
        let scope = scope(&[]).with_local("out", Problem::depends_on(3).into_value());
        let problem = scope.engine().evaluate("out.rc == 0", &scope).unwrap_err();
        assert_eq!(problem.depends_on, Some(3));
        for text in ["{{ out }}", "a {{ out.stdout | default('') }}", "{{ out is changed }}"] {
            assert_eq!(
                scope.engine().render(text, &scope).unwrap_err().depends_on,
                Some(3),
                "{text}"
            );
        }
    }

    use crate::expr::jinja::Problem;
}
