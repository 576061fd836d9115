//! A host that is kept as a git repository says: real repositories, real servers, real keys.

#[cfg(test)]
mod damage;
#[cfg(test)]
#[path = "../support/installed.rs"]
mod installed;
#[cfg(test)]
#[path = "../support/process.rs"]
mod process;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod signed;
#[cfg(test)]
#[path = "../support/skip.rs"]
mod skip;
#[cfg(test)]
mod started;
#[cfg(test)]
mod waves;
#[cfg(test)]
mod world;

use std::fs;
use world::{SECRET, World, free_port, metrics};

#[test]
fn a_host_becomes_what_each_new_revision_says() {
    let world = World::new("");
    let port = free_port();
    let facts =
        format!("collect: [loadavg]\nexport:\n  - prometheus: {{listen: 127.0.0.1:{port}}}\n");
    world.write("facts.yml", &facts);
    let first = world.commit();
    let agent = world.agent(&[]);
    world.wait_for_word("one");
    world.wait_until("the metrics name the commit", || {
        let info = format!(
            "driftless_git_revision_info{{author=\"Max\",commit=\"{first}\",signer=\"\"}} 1"
        );
        metrics(port).contains(&info)
    });
    let second = world.commit_word("two");
    world.wait_for_word("two");
    let third = world.commit_word("three");
    world.wait_for_word("three");
    world.wait_until("only what may be needed is kept", || {
        let mut kept = world.revisions();
        kept.sort();
        let mut needed = vec![second.clone(), third.clone()];
        needed.sort();
        kept == needed
    });
    assert!(agent.stop().success());
    let chain = fs::read_to_string(world.path("data/audit/chain.jsonl")).unwrap();
    for commit in [first, second, third] {
        assert!(chain.contains(&format!("\"revision\":\"{commit}\"")), "{chain}");
    }
}

#[test]
fn the_example_keeps_a_host_as_its_repository_says() {
    let world = World::empty();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config-examples/gitops");
    let here = |text: String| {
        let dir = world.path("root").display().to_string();
        text.replace("/tmp/driftless-gitops", &dir)
    };
    let agent = here(fs::read_to_string(format!("{example}/agent.yml")).unwrap());
    fs::write(world.path("config/agent.yml"), agent).unwrap();
    for name in
        ["apply.yml", "facts.yml", "vars.yml", "group_vars/web.yml", "templates/app.conf.j2"]
    {
        let text = fs::read_to_string(format!("{example}/repository/{name}")).unwrap();
        world.write(name, &here(text));
    }
    world.commit();
    fs::rename(world.bare(), world.path("root/hosts.git")).unwrap();
    let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    let web = fs::read_to_string(world.path("root/app/web.conf")).unwrap_or_default();
    assert_eq!(web, "port = 8080\n", "{said}");
}

#[test]
fn an_agent_file_in_the_repository_counts_for_nothing() {
    let world = World::new("");
    world.write("agent.yml", "git: {url: /elsewhere}\nno such key: [\n");
    world.write_word("two");
    world.commit();
    let agent = world.agent(&[]);
    world.wait_for_word("two");
    assert!(
        world.log().contains("`agent.yml` is never taken from the repository"),
        "{}",
        world.log()
    );
    assert!(agent.stop().success());
}

#[test]
fn what_lies_beside_the_agent_file_is_not_run_beside_the_repository() {
    let world = World::new("");
    let apply = world::motd("local").replace("ROOT", world.path("root").to_str().unwrap());
    fs::write(world.path("config/apply.yml"), apply).unwrap();
    let agent = world.agent(&[]);
    world.wait_for_word("one");
    assert!(world.log().contains("apply.yml` is not read"), "{}", world.log());
    assert!(agent.stop().success());
}

#[test]
fn a_branch_a_tag_a_commit_and_a_directory_can_be_followed() {
    let world = World::new("");
    let first = world.git(&["rev-parse", "HEAD"]);
    world.git(&["tag", "v1"]);
    world.git(&["push", "-q", "origin", "v1", "HEAD:refs/heads/stable"]);
    world.write("hosts/web/templates/motd.j2", "{{ word }}\n");
    world.write("hosts/web/apply.yml", &world::motd("web"));
    world.commit_word("two");
    let url = world.bare().display().to_string();
    for (settings, word) in [
        (", branch: stable".to_owned(), "one"),
        (", branch: main".to_owned(), "two"),
        (", tag: v1".to_owned(), "one"),
        (", path: hosts/web".to_owned(), "web"),
        (format!(", commit: {first}"), "one"),
        (String::new(), "two"),
    ] {
        world.follow(&url, &settings);
        let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{settings}: {said}");
        assert_eq!(world.word(), word, "{settings}: {said}");
    }
    for (settings, why) in [
        (", branch: gone", "has no branch `gone`"),
        (", tag: v2", "has no tag `v2`"),
        (", path: hosts/db", "it has no directory `hosts/db`"),
        (", commit: 0123456789012345678901234567890123456789", "leads to the commit"),
    ] {
        fs::remove_dir_all(world.path("data")).unwrap();
        world.follow(&url, settings);
        let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{settings}: {said}");
    }
}

#[test]
fn a_restart_begins_at_once_with_what_was_active_while_the_server_is_down() {
    let world = World::new("");
    let agent = world.agent(&[]);
    world.wait_for_word("one");
    assert!(agent.stop().success());
    fs::rename(world.bare(), world.path("served/away")).unwrap();
    fs::remove_file(world.path("root/motd")).unwrap();
    let agent = world.agent(&[]);
    world.wait_for_word("one");
    world.wait_for_log("no look at the repository");
    world.commit_word_elsewhere("two");
    fs::rename(world.path("served/away"), world.bare()).unwrap();
    world.wait_for_word("two");
    assert!(agent.stop().success());

    fs::rename(world.bare(), world.path("served/away")).unwrap();
    fs::remove_file(world.path("root/motd")).unwrap();
    let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(world.word(), "two");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("begins with the revision that was active last"), "{said}");
}

#[test]
fn commands_that_only_look_say_which_revision_they_look_at() {
    let world = World::new("");
    let said = |arguments: &[&str]| {
        let output = world.driftless(arguments).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let before = said(&["validate", "config"]);
    assert!(before.contains("only agent.yml is looked at"), "{before}");
    let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
    assert!(ran.status.success());
    let commit = world.git(&["rev-parse", "HEAD"]);
    for arguments in
        [&["validate", "config"][..], &["graph", "config"], &["apply", "config", "--dry-run"]]
    {
        let after = said(arguments);
        assert!(after.contains(&format!("this is the commit {}", &commit[..12])), "{after}");
    }
    assert!(said(&["validate", "config"]).contains("1 tasks"));
    assert!(said(&["validate", "work"]).contains("1 tasks"), "a working copy is a config too");
}

#[test]
fn what_is_wrong_with_the_settings_is_told_with_its_place() {
    let world = World::empty();
    for (git, says) in [
        ("{branch: main}", "agent.yml:2:6: `git` lacks the key `url`"),
        (
            "{url: 'https://me:hunter2-hunter2@example.com/x'}",
            "agent.yml:2:12: `url`: has a user or password in it",
        ),
        ("{url: 'https://example.com/x', branch: main, tag: v1}", "agent.yml:2:56: only one of"),
        ("{url: 'https://example.com/x', brnch: main}", "did you mean `branch`?"),
        (
            "{url: '{{ secrets.GIT_TOKEN }}'}",
            "agent.yml:2:12: no setting of the agent but `git.auth`",
        ),
        ("{url: 'https://example.com/{{ vars.x }}'}", "agent.yml:2:12: `vars.x` is undefined"),
        (
            "{url: 'http://example.com/x', auth: {bearer: '{{ secrets.GIT_TOKEN }}'}}",
            "agent.yml:2:42: without TLS",
        ),
        (
            "{url: 'https://example.com/x', auth: {bearer: '{{ secrets.NONE }}'}}",
            "the secret `NONE` is not in",
        ),
        ("{url: 'https://example.com/x', rewind: perhaps}", "agent.yml:2:45: `rewind` cannot be"),
    ] {
        fs::write(world.path("config/agent.yml"), format!("data_dir: /nowhere\ngit: {git}\n"))
            .unwrap();
        let output = world.driftless(&["validate", "config"]).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{git}: {said}");
        assert!(said.contains(says), "{git}: {said}");
        // The line of the file is shown, and masked in it what the program knows for a secret.
        assert!(git.contains(SECRET) || !said.contains(SECRET), "{said}");
    }
}
