//! Packages of Node.js and Ruby, with the real npm and gem, in roots of their own and from a registry
//! and an index that are made there.

use crate::accounts::{APPLY, reports, said_in_root, tasks};
use crate::installed::has;

/// A registry with one package in two versions, and a server for it that only this root can reach.
const REGISTRY: &str = r#"
    ip link set lo up
    mkdir -p /srv/registry /srv/app; cd /srv/registry
    for version in 1.0.0 1.1.0; do
        mkdir package
        printf '{"name":"t-user","version":"%s"}' $version >package/package.json
        tar --create --gzip --file t-user-$version.tgz package
        rm -r package
    done
    python3 - <<'END'
import base64, hashlib, json
versions = {}
for version in ['1.0.0', '1.1.0']:
    file = f't-user-{version}.tgz'
    digest = base64.b64encode(hashlib.sha512(open(file, 'rb').read()).digest()).decode()
    dist = {'tarball': f'http://127.0.0.1:8000/{file}', 'integrity': f'sha512-{digest}'}
    versions[version] = {'name': 't-user', 'version': version, 'dist': dist}
json.dump({'name': 't-user', 'dist-tags': {'latest': '1.1.0'}, 'versions': versions}, open('t-user', 'w'))
END
    printf '{"name":"t-file","version":"0.1.0"}' >/srv/app/t-file.json
    mkdir package; cp /srv/app/t-file.json package/package.json
    tar --create --gzip --file /srv/t-file-0.1.0.tgz package
    python3 -m http.server 8000 --bind 127.0.0.1 >/dev/null 2>&1 &
    server=$!
    for _ in $(seq 200); do (: </dev/tcp/127.0.0.1/8000) 2>/dev/null && break; sleep 0.05; done
    cd /srv/config
    npm config set registry http://127.0.0.1:8000/
    look() {
        for file in /srv/app/node_modules/*/package.json /srv/global/lib/node_modules/t-*/package.json; do
            [ ! -e $file ] || python3 -c 'import json, sys; told = json.load(open(sys.argv[1])); print(told["name"] + "-" + told["version"])' $file
        done | paste -sd' '
    }
"#;

/// A task, whether a dry run knows all of it, and what is there then.
type Step = (&'static str, bool, &'static str);

const OF_NPM: &[Step] = &[
    ("npm: {name: t-user, version: 1.0.0, path: /srv/app}", false, "t-user-1.0.0"),
    ("npm: {name: t-user, state: latest, path: /srv/app}", false, "t-user-1.1.0"),
    ("npm: {name: /srv/t-file-0.1.0.tgz, path: /srv/app}", false, "t-file-0.1.0 t-user-1.1.0"),
    ("npm: {name: t-user, state: absent, path: /srv/app}", false, "t-file-0.1.0"),
    (
        "copy: {dest: /srv/app/package.json, content: '{\"dependencies\": {\"t-user\": \"1.0.0\"}}'}",
        true,
        "t-file-0.1.0",
    ),
    ("npm: {path: /srv/app, production: true}", false, "t-user-1.0.0"),
    (
        "npm: {name: t-user, global: true}\n    environment: {NPM_CONFIG_PREFIX: /srv/global}",
        false,
        "t-user-1.0.0 t-user-1.1.0",
    ),
];

/// An index with one package in two versions, which is a directory.
const INDEX: &str = r#"
    mkdir -p /srv/index/gems /srv/gem/lib; cd /srv/gem
    echo '# t' >lib/t_base.rb
    for version in 1.0 1.1; do
        printf 'Gem::Specification.new do |s|\n s.name = "t-base"\n s.version = "%s"\n s.summary = "t"\n s.authors = ["t"]\n s.files = ["lib/t_base.rb"]\nend\n' $version >t.gemspec
        gem build t.gemspec >/dev/null 2>&1
    done
    cp *.gem /srv/index/gems
    gem generate_index --directory /srv/index >/dev/null 2>&1
    printf -- '---\n:sources: [file:///srv/index]\n' >/root/.gemrc
    cd /srv/config
    look() { (cd /; find root/.local var/lib/gems srv/gems -path '*/specifications/t-*.gemspec' 2>/dev/null || true) | sort | paste -sd' ' | sed 's#[^ ]*/ruby/[^ ]*/specifications/##g; s#.gemspec##g'; }
"#;

const OF_GEM: &[Step] = &[
    ("gem: {name: t-base, gem_source: /srv/gem/t-base-1.0.gem}", false, "t-base-1.0"),
    ("gem: {name: t-base, state: latest, norc: false}", false, "t-base-1.0 t-base-1.1"),
    ("gem: {name: t-base, version: '1.0', state: absent}", false, "t-base-1.1"),
    ("gem: {name: t-base, state: absent}", false, ""),
    (
        "gem: {name: t-base, version: '1.0', install_dir: /srv/gems, source: 'file:///srv/index'}",
        false,
        "srv/gems/specifications/t-base-1.0",
    ),
    ("gem: {name: t-base, install_dir: /srv/gems, state: absent}", false, ""),
];

fn become_what_tasks_say(prepare: &str, steps: &[Step]) {
    let mut script = format!("{prepare}{APPLY}");
    for (task, ..) in steps {
        let list = tasks(&format!("  - {task}\n"));
        script += &format!("{list}apply\nagain\necho STEP $(look)\n");
    }
    script += "[ -z \"${server-}\" ] || kill $server\n";
    let Some(said) = said_in_root(&script) else { return };
    let left: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("STEP")).map(str::trim).collect();
    let [dry, run, again] =
        ["DRY", "RUN", "AGAIN"].map(|kind| reports(&said, kind).collect::<Vec<_>>());
    assert_eq!([dry.len(), run.len(), again.len(), left.len()], [steps.len(); 4], "{said}");
    let mut wrong = String::new();
    for (at, (task, is_known, expected)) in steps.iter().enumerate() {
        if run[at]["status"] != "changed" || again[at]["status"] != "ok" {
            wrong += &format!("{task}: {:#}\nagain: {:#}\n", run[at], again[at]);
        }
        if dry[at]["status"] != if *is_known { "changed" } else { "unknown" } {
            wrong += &format!("{task} foretells {:#}\n", dry[at]);
        }
        if left[at] != *expected {
            wrong += &format!("{task} leaves {:?}, expected {expected:?}\n", left[at]);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn packages_of_node_become_what_a_task_says_and_only_once() {
    if ["ip", "npm", "python3"].into_iter().all(has) {
        become_what_tasks_say(REGISTRY, OF_NPM);
    }
}

#[test]
fn packages_of_ruby_become_what_a_task_says_and_only_once() {
    if has("gem") {
        become_what_tasks_say(INDEX, OF_GEM);
    }
}
