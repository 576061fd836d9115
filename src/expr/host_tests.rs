//! Expressions that look at a host: here a directory of real files.

use super::host::{Host, Kind, Seen, Unanswered};
use super::jinja::{Engine, Problem};
use super::scope::Scope;
use super::syntax::Syntax;
use crate::event::secret::{Masker, SecretText, Secrets};
use minijinja::Value;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug)]
struct Directory(tempfile::TempDir);

impl Host for Directory {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        fs::read(path).map_err(|e| e.to_string())
    }

    fn look(&self, path: &Path, follow: bool) -> Result<Option<Seen>, String> {
        let found = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
        let Ok(found) = found else { return Ok(None) };
        let kind = match found.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Other,
        };
        Ok(Some(Seen { kind, device: found.dev(), inode: found.ino() }))
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, String> {
        let entries = fs::read_dir(path).map_err(|e| e.to_string())?;
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        Ok(names)
    }

    fn real_path(&self, path: &Path) -> Result<PathBuf, String> {
        path.canonicalize().map_err(|e| e.to_string())
    }

    fn run(&self, command: &str) -> Result<Vec<u8>, Unanswered> {
        let output = std::process::Command::new("/bin/sh").args(["-c", command]).output().unwrap();
        let failed = || Unanswered { why: "exit status 1".into(), is_denial: false };
        output.status.success().then_some(output.stdout).ok_or_else(failed)
    }

    fn keep(&self, path: &Path, content: &str) -> Result<(), String> {
        fs::write(path, content).map_err(|e| e.to_string())
    }

    fn now(&self) -> f64 {
        1_700_000_000.5
    }

    fn base(&self) -> &Path {
        self.0.path()
    }
}

/// A host with some files, and a scope that may look at it.
fn host() -> (Arc<Directory>, Scope) {
    let host = Arc::new(Directory(tempfile::tempdir().unwrap()));
    let base = host.base();
    for (path, text) in [
        ("files/motd", "  hello\n\n"),
        ("files/hosts.csv", "web1,10.0.0.1,\"a \"\"b\"\", c\"\nweb2,10.0.0.2,\n"),
        ("files/app.ini", "[db]\nport = 5432\nHost: db1\n# note\n[web]\nport = 80\n"),
        ("files/app.properties", "user.name = ann\n"),
        ("conf/b.conf", ""),
        ("conf/a.conf", ""),
        ("conf/.hidden.conf", ""),
        ("templates/site.j2", "{% include 'part.j2' %}|{{ n + 1 }}\n"),
        ("templates/part.j2", "n is {{ n }}"),
        ("templates/base.j2", "<{% block body %}{% endblock %}>"),
        (
            "templates/macros.j2",
            "{% macro twice(x) %}{{ x }}{{ x | regex_replace('a', 'b') }}{{ lookup('vars', 'n') }}{% endmacro %}",
        ),
        ("templates/sub/inner.j2", "{% include './beside.j2' %}"),
        ("templates/sub/beside.j2", "beside"),
    ] {
        let path = base.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", base.join("templates/out.j2")).unwrap();
    std::os::unix::fs::symlink("nowhere", base.join("dangling")).unwrap();
    let scope = Scope::new(Arc::new(Engine::new()))
        .with_local("n", 5.into())
        .with_local("base", base.display().to_string().into())
        .with_host(host.clone());
    (host, scope)
}

fn shown(result: Result<Value, Problem>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(problem) => format!("error: {problem}"),
    }
}

#[test]
fn look_ups_read_the_host_through_what_the_scope_supplies() {
    let (host, scope) = host();
    let base = host.base().display().to_string();
    for (expression, wanted) in [
        ("lookup('file', 'motd')", "'  hello'"),
        ("lookup('file', 'motd', lstrip=true)", "'hello'"),
        ("query('file', 'motd', 'motd') | length", "2"),
        ("lookup('file', 'nope', errors='ignore')", "None"),
        ("query('file', 'nope', errors='warn')", "[]"),
        ("lookup('template', 'site.j2')", r"'n is 5|6\n'"),
        ("lookup('template', 'site.j2', template_vars={'n': 8})", r"'n is 8|9\n'"),
        (
            "query('fileglob', base ~ '/conf/*.conf') | map('basename') | list",
            "['a.conf', 'b.conf']",
        ),
        ("(base ~ '/conf/[a]*') | fileglob | map('basename') | list", "['a.conf']"),
        ("lookup('first_found', ['x', 'motd']) | basename", "'motd'"),
        (
            "lookup('first_found', {'files': ['x', 'a.conf'], 'paths': [base ~ '/conf']}) | basename",
            "'a.conf'",
        ),
        (
            "lookup('first_found', {'files': ['a.conf'], 'paths': ['absent/../conf']}) | basename",
            "'a.conf'",
        ),
        ("query('first_found', ['x'], skip=true)", "[]"),
        ("lookup('pipe', 'echo a; echo b')", r"'a\nb'"),
        ("query('lines', 'echo a; echo b')", "['a', 'b']"),
        ("lookup('csvfile', 'web2', file='hosts.csv', delimiter=',')", "'10.0.0.2'"),
        ("lookup('csvfile', 'web1 file=hosts.csv delimiter=, col=2')", "'a \"b\", c'"),
        ("lookup('ini', 'port', section='db', file='app.ini')", "'5432'"),
        ("lookup('ini', 'host section=db file=app.ini')", "'db1'"),
        ("lookup('ini', 'user.name', type='properties', file='app.properties')", "'ann'"),
        ("lookup('ini', 'nope', section='db', file='app.ini', default='x')", "'x'"),
        ("(base ~ '/conf') is directory and (base ~ '/conf') is not file", "True"),
        ("(base ~ '/files/motd') is file and (base ~ '/files/motd') is exists", "True"),
        ("(base ~ '/dangling') is link and (base ~ '/dangling') is link_exists", "True"),
        ("(base ~ '/dangling') is exists", "False"),
        ("(base ~ '/conf') is mount", "False"),
        ("'/' is mount", "True"),
        ("(base ~ '/conf/a.conf') is same_file(base ~ '/conf/../conf/a.conf')", "True"),
        ("(base ~ '/conf/../conf') | realpath | basename", "'conf'"),
        ("now(utc=true, fmt='%Y-%m-%d %H:%M')", "'2023-11-14 22:13'"),
        ("(now(utc=true) - now(utc=true)).total_seconds()", "0.0"),
        ("lookup('password', base ~ '/pw length=9') | length", "9"),
        ("lookup('password', base ~ '/pw') == lookup('password', base ~ '/pw length=9')", "True"),
        (
            "lookup('url', 'http://a')",
            "error: the look-up `url` is off: fetch with the task `get_url` or `uri`, and read what that registers",
        ),
        ("lookup('flie', 'a')", "error: there is no look-up `flie`"),
        ("['ab', 1] is search('ab') and 15 is match('1')", "True"),
    ] {
        let wanted = wanted.replace("BASE", &base);
        assert_eq!(shown(scope.engine().evaluate(expression, &scope)), wanted, "{expression}");
    }
}

#[test]
fn without_a_host_to_look_at_a_look_up_says_where_it_belongs() {
    let scope = Scope::new(Arc::new(Engine::new()));
    for (expression, what) in [
        ("lookup('file', 'motd')", "lookup('file')"),
        ("'/etc' is directory", "directory"),
        ("'/etc' | realpath", "realpath"),
        ("now()", "now"),
    ] {
        let wanted =
            format!("error: `{what}` looks at the host, which only tasks can: use it in a task");
        assert_eq!(shown(scope.engine().evaluate(expression, &scope)), wanted);
    }
}

#[test]
fn templates_use_others_of_their_own_directory_and_none_outside() {
    let (_host, scope) = host();
    let render = |text: &str| {
        let rendered = scope.engine().template(text, Syntax::default(), &scope);
        shown(rendered.map(Value::from))
    };
    for (text, wanted) in [
        ("{% include 'part.j2' %}", "'n is 5'"),
        ("{% include 'templates/part.j2' %}", "'n is 5'"),
        ("{% include 'sub/inner.j2' %}", "'beside'"),
        ("{% include 'nope.j2' ignore missing %}x", "'x'"),
        ("{% extends 'base.j2' %}{% block body %}{{ n }}{% endblock %}", "'<5>'"),
        ("{% import 'macros.j2' as m %}{{ m.twice('a') }}", "'ab5'"),
        ("{% from 'macros.j2' import twice %}{{ twice('x') }}", "'xx5'"),
        ("{% raw %}{{ n }}{% endraw %}", "'{{ n }}'"),
        ("#jinja2: lstrip_blocks: true\n  {% if true %}\nx\n  {% endif %}\n", r"'x\n'"),
        ("#jinja2: trim_blocks: false\n{% if true %}\nx\n{% endif %}", r"'\nx\n'"),
        ("{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}", "'aba'"),
        ("{% set j = joiner('|') %}{{ j() }}a{{ j() }}b", "'a|b'"),
        (
            "{% set s = namespace(x=0) %}{% for i in [1, 2] %}{% set s.x = s.x + i %}{% endfor %}{{ s.x }}",
            "'3'",
        ),
        ("{{ '%s-%s' % ('a', n) }}{{ nope.x | default('d') }}{{ 'a\\nb' }}", r"'a-5da\nb'"),
    ] {
        assert_eq!(render(text), wanted, "{text}");
    }
    let outside = render("{% include '../../etc/passwd' %}");
    assert!(outside.contains("outside the directory of the tasks"), "{outside}");
    assert!(render("{% include '/etc/passwd' %}").contains("outside"));
    let linked = render("{% include 'out.j2' %}");
    assert!(linked.contains("leads outside"), "{linked}");
}

#[test]
fn what_a_filter_makes_of_a_secret_is_secret_too() {
    let secrets: Secrets =
        [("PW".to_owned(), SecretText::new("hunter2-hunter2".to_owned()))].into_iter().collect();
    let masker = Masker::new(&secrets);
    let scope =
        Scope::new(Arc::new(Engine::new())).with_secrets(secrets).with_masker(masker.clone());
    for expression in [
        "secrets.PW | hash('sha256')",
        "secrets.PW | md5",
        "('user:' ~ secrets.PW) | b64encode",
        "secrets.PW | b64encode | b64encode",
        "secrets.PW | password_hash('sha256', 'salt', rounds=1000)",
        "secrets.PW | quote",
        "{'a': secrets.PW} | to_json",
        "{'a': secrets.PW} | to_yaml",
        "('?' ~ secrets.PW) | urlencode",
        "secrets.PW | upper",
        "secrets.PW | to_uuid",
        "[secrets.PW] | map('sha1') | first",
    ] {
        let made = scope.engine().evaluate(expression, &scope).unwrap().to_string();
        let masked = masker.mask(&made);
        assert!(masked.contains("***"), "{expression}: {masked}");
    }
    let innocent = scope.engine().evaluate("'innocent' | b64encode", &scope).unwrap().to_string();
    assert_eq!(masker.mask(&innocent), innocent);
}

#[test]
fn a_name_that_is_not_known_comes_with_the_one_that_was_meant() {
    let (_host, scope) = host();
    let scope = scope.with_local("server_port", 80.into());
    let problem = scope.engine().render("{{ server_prot }}", &scope).unwrap_err();
    assert_eq!(problem.message, "`server_prot` is undefined");
    assert_eq!(problem.hint.as_deref(), Some("did you mean `server_port`?"));
    let problem = scope.engine().render("a {{ sever_port }}", &scope).unwrap_err();
    assert_eq!(problem.hint.as_deref(), Some("did you mean `server_port`?"));
}

#[test]
fn a_call_that_does_not_fit_is_told_what_would() {
    let (_host, scope) = host();
    for (expression, wanted) in [
        (
            "'a' | regex_replace(patern='a')",
            "`regex_replace` takes no `patern`; it takes (pattern='', ",
        ),
        ("'a' | regex_search", "`regex_search` needs `pattern`; it takes (pattern, "),
        ("1 | flatten", "`flatten` takes a list, and this is number"),
        ("'a' | hash('crc')", "`hash` knows no digest `crc`; it knows md5, "),
        ("'(' is search('(')", "`(` is not a regular expression: "),
        ("nope | hash", "`nope` is undefined"),
        ("'a' | vault('x')", "`vault` is not there: "),
    ] {
        let shown = shown(scope.engine().evaluate(expression, &scope));
        assert!(shown.starts_with(&format!("error: {wanted}")), "{expression}: {shown}");
    }
}

#[test]
fn every_name_of_the_reference_is_known() {
    let engine = Engine::new();
    let known = |text: String| {
        let done = engine.environment().compile_expression(&text).and_then(|e| e.eval(()));
        !done.is_err_and(|error| {
            matches!(
                error.kind(),
                minijinja::ErrorKind::UnknownFilter | minijinja::ErrorKind::UnknownTest
            )
        })
    };
    for name in super::filters::entries().flat_map(|(_, entries)| entries).flat_map(|e| e.names) {
        assert!(known(format!("none | {name}")), "{name}");
    }
    let plain = |name: &&&str| name.starts_with(|c: char| c.is_alphabetic());
    let tests = super::tests::entries().flat_map(|(_, entries)| entries);
    for name in tests.flat_map(|entry| entry.names).filter(plain) {
        assert!(known(format!("none is {name}")), "{name}");
    }
}
