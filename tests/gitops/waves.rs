//! Hosts that take a new revision one after the other, without a server that says whose turn it is.

use super::world::{World, free_port, metrics};
use std::fs;

/// A host of this name that follows the repository.
fn host(world: &World, name: &str) {
    let config = world.path("config/agent.yml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(config, format!("host: {name}\n{text}")).unwrap();
}

fn once(world: &World) -> String {
    let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
    String::from_utf8(ran.stderr).unwrap()
}

#[test]
fn a_host_keeps_what_it_has_until_it_is_meant() {
    let world = World::new("");
    host(&world, "web1.example.com"); // place 41.82
    let port = free_port();
    let facts =
        format!("collect: [loadavg]\nexport:\n  - prometheus: {{listen: 127.0.0.1:{port}}}\n");
    world.write("facts.yml", &facts);
    // A host that has nothing takes what there is.
    world.write("fleet.yml", "rollout: {percent: 0}\n");
    world.commit_word("one");
    let agent = world.agent(&[]);
    world.wait_for_word("one");

    world.write("fleet.yml", "rollout: {percent: 40}\n");
    let second = world.commit_word("two");
    world.wait_for_log("a revision is not for this host yet");
    world.wait_until("the metrics say so", || {
        metrics(port).contains("driftless_git_revision_waiting 1")
    });
    assert!(world.log().contains(&second), "{}", world.log());
    world.write("fleet.yml", "rollout: {percent: 42}\n");
    world.commit();
    world.wait_for_word("two");
    world.wait_until("the metrics say so", || {
        metrics(port).contains("driftless_git_revision_waiting 0")
    });
    assert_eq!(world.log().matches("is not for this host yet").count(), 1, "{}", world.log());

    // Back for everybody at once: without a rollout there are no waves.
    fs::remove_file(world.path("work/fleet.yml")).unwrap();
    world.commit_word("one");
    world.wait_for_word("one");
    assert!(agent.stop().success());
}

#[test]
fn a_wave_begins_some_time_after_the_host_has_first_seen_the_revision_over_restarts_too() {
    let world = World::new("");
    host(&world, "db1");
    once(&world);
    assert_eq!(world.word(), "one");
    let stages = "rollout: {stages: [{groups: [canary]}, {percent: 100, after: 1h}]}\n";
    world.write("fleet.yml", &format!("groups: {{canary: {{hosts: [web1]}}}}\n{stages}"));
    let second = world.commit_word("two");
    let said = once(&world);
    assert!(said.contains("a revision waits for its turn") && said.contains("3600"), "{said}");
    assert_eq!(world.word(), "one");

    let state = world.kept("state.json");
    let mut kept: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&state).unwrap()).unwrap();
    assert_eq!(kept["waiting"]["commit"], *second);
    let seen = kept["waiting"]["seen_seconds"].as_u64().unwrap();
    once(&world);
    let again: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&state).unwrap()).unwrap();
    assert_eq!(again["waiting"]["seen_seconds"], seen, "a restart begins nothing anew");
    // As if that were an hour ago.
    kept["waiting"]["seen_seconds"] = (seen - 3601).into();
    fs::write(&state, kept.to_string()).unwrap();
    once(&world);
    assert_eq!(world.word(), "two");
}

#[test]
fn a_host_of_the_first_wave_does_not_wait() {
    let world = World::new("");
    host(&world, "web1");
    once(&world);
    let stages = "rollout: {stages: [{groups: [canary]}, {percent: 100, after: 1h}]}\n";
    world.write("fleet.yml", &format!("groups: {{canary: {{hosts: [web1]}}}}\n{stages}"));
    world.commit_word("two");
    let said = once(&world);
    assert_eq!(world.word(), "two", "{said}");
}

#[test]
fn a_revision_that_is_wrong_is_refused_before_it_is_anybodys_turn() {
    let world = World::new("");
    once(&world);
    world.write("fleet.yml", "rollout: {percent: 0}\n");
    world.write("facts.yml", "colect: []\n");
    world.commit_word("two");
    let said = once(&world);
    assert!(said.contains("revision refused") && said.contains("colect"), "{said}");
}
