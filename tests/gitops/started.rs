//! What a start makes of the revisions that are kept: refused, not right any more, not signed.

use super::world::{World, motd, ssh_key};
use std::fs;

fn once(world: &World) -> (String, bool) {
    let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
    (String::from_utf8(ran.stderr).unwrap(), ran.status.success())
}

fn state(world: &World) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(world.kept("state.json")).unwrap()).unwrap()
}

#[test]
fn a_refusal_outlives_a_restart_with_its_reason() {
    let world = World::new("");
    once(&world);
    world.write("apply.yml", &motd("two").replace("template:", "tempalte:"));
    let bad = world.commit();
    let (said, is_fine) = once(&world);
    assert!(is_fine && said.contains("revision refused"), "{said}");
    assert_eq!(state(&world)["refused"]["reason"], "config");
    let (said, is_fine) = once(&world);
    assert!(is_fine && !said.contains("revision refused"), "tried once: {said}");
    assert!(said.contains("this revision stays refused") && said.contains(&bad), "{said}");
    assert!(said.contains("tempalte"), "{said}");
    let agent = world.agent(&[]);
    world.wait_for_log("stays refused");
    let told = format!("the revision {bad} was not taken");
    let status = || world.driftless(&["status", "--config", "config"]).output().unwrap().stdout;
    world.wait_until("`status` says that it is refused", || {
        String::from_utf8(status()).unwrap().contains(&told)
    });
    assert!(agent.stop().success());
    // Under other rules it is another question.
    world.follow(&world.bare().display().to_string(), ", rewind: allow");
    let (said, _) = once(&world);
    assert!(said.contains("revision refused"), "{said}");
    world.commit_word("three");
    let (said, _) = once(&world);
    assert_eq!(world.word(), "three", "{said}");
    assert!(state(&world)["refused"].is_null());
}

#[test]
fn what_a_refusal_quotes_is_written_down_without_secrets() {
    let world = World::new("");
    once(&world);
    world.write(
        "topology.yml",
        "sources: {a: {type: file, include: [/a]}}\nsinks: {b: {type: http, inputs: [a], url: '{{ secrets.GIT_TOKEN }}'}}\n",
    );
    world.commit();
    let (said, _) = once(&world);
    assert!(said.contains("revision refused"), "{said}");
    assert!(!world.holds("data", super::world::SECRET));
}

#[test]
fn a_revision_that_cannot_be_run_is_never_noted_as_the_active_one() {
    let world = World::new("");
    let first = world.git(&["rev-parse", "HEAD"]);
    once(&world);
    // Right as a config, but its sink cannot be built.
    world.write(
        "topology.yml",
        "sources: {a: {type: file, include: [/a]}}\nsinks: {b: {type: http, inputs: [a], url: 'https://127.0.0.1:9/', tls: {ca_file: /no/such.pem}}}\n",
    );
    let second = world.commit();
    let (said, is_fine) = once(&world);
    assert!(!is_fine && said.contains("/no/such.pem"), "{said}");
    assert_eq!(state(&world)["active"]["commit"], *first, "{said}");
    assert_eq!(state(&world)["refused"]["commit"], *second, "{said}");
}

#[test]
fn a_start_falls_back_to_the_revision_before_where_the_last_is_not_right_any_more() {
    let world = World::new("");
    let first = world.git(&["rev-parse", "HEAD"]);
    once(&world);
    world.write(
        "topology.yml",
        "sources: {a: {type: file, include: [/a]}}\nsinks: {b: {type: http, inputs: [a], url: 'http://127.0.0.1:9/', auth: {bearer: '{{ secrets.GIT_TOKEN }}'}}}\n",
    );
    let second = world.commit_word("two");
    once(&world);
    assert_eq!(world.word(), "two");
    // The secret that it needs is gone.
    let ran = world
        .driftless(&["agent", "--config", "config", "--once"])
        .env_remove("GIT_TOKEN")
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("does not begin with this revision"), "{said}");
    assert_eq!(world.word(), "one", "{said}");
    assert_eq!(state(&world)["active"]["commit"], *first);
    assert_eq!(state(&world)["refused"]["commit"], *second);
}

#[test]
fn a_start_looks_again_whether_what_was_active_is_signed_as_it_must_be() {
    let world = World::new("");
    once(&world);
    assert_eq!(world.word(), "one");
    let key = ssh_key(&world, "ours");
    fs::write(world.path("allowed_signers"), format!("max@example.com {key}\n")).unwrap();
    let verify = ", verify: {allowed_signers: DIR/allowed_signers}";
    let url = world.bare().display().to_string();
    world.follow(&url, verify);
    fs::remove_file(world.path("root/motd")).unwrap();
    let (said, is_fine) = once(&world);
    assert!(!is_fine && said.contains("does not begin with this revision"), "{said}");
    assert!(said.contains("it is not signed"), "{said}");
    assert_eq!(world.word(), "", "{said}");

    let public = world.path("ours").with_extension("pub").display().to_string();
    world.git(&["config", "gpg.format", "ssh"]);
    world.git(&["config", "user.signingkey", &public]);
    world.write_word("two");
    world.commit_with(&["-S"]);
    let (said, _) = once(&world);
    assert_eq!(world.word(), "two", "{said}");

    // The key is taken out: what it has signed is not begun with any more.
    let other = ssh_key(&world, "other");
    fs::write(world.path("allowed_signers"), format!("max@example.com {other}\n")).unwrap();
    fs::remove_file(world.path("root/motd")).unwrap();
    let (said, is_fine) = once(&world);
    assert!(!is_fine && said.contains("not among the allowed signers"), "{said}");
    assert_eq!(world.word(), "", "{said}");
}
