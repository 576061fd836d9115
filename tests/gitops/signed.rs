//! Whose signature a revision must have.

use super::installed::has;
use super::world::{World, ssh_key};
use std::fs;
use std::process::Command;

/// A repository whose commits are signed by the key `ours`, and a host that wants that.
fn signed_world(line: &str) -> World {
    let world = World::empty();
    let key = ssh_key(&world, "ours");
    let line = format!("max@example.com {line}{key}\n");
    fs::write(world.path("allowed_signers"), line).unwrap();
    world.follow(
        &world.bare().display().to_string(),
        ", verify: {allowed_signers: DIR/allowed_signers}",
    );
    sign_by(&world, "ours");
    world
}

fn sign_by(world: &World, key: &str) {
    let key = world.path(key).with_extension("pub").display().to_string();
    world.git(&["config", "gpg.format", "ssh"]);
    world.git(&["config", "user.signingkey", &key]);
}

/// One look; what was said, and whether there was a revision to run.
fn once(world: &World) -> (String, bool) {
    let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
    (String::from_utf8(ran.stderr).unwrap(), ran.status.success())
}

#[test]
fn a_revision_that_is_not_signed_as_it_must_be_is_never_written() {
    let world = signed_world("");
    world.write_word("one");
    let first = world.commit_with(&["-S"]);
    let (said, is_fine) = once(&world);
    assert!(is_fine && said.contains("max@example.com"), "{said}");
    assert_eq!(world.word(), "one");

    world.commit_word("unsigned");
    let (said, _) = once(&world);
    assert!(said.contains("it is not signed"), "{said}");

    ssh_key(&world, "theirs");
    sign_by(&world, "theirs");
    world.git(&["reset", "-q", "--hard", &first]);
    world.write_word("by others");
    world.commit_with(&["-S"]);
    let (said, _) = once(&world);
    assert!(said.contains("a key that is not among the allowed signers"), "{said}");

    sign_by(&world, "ours");
    world.git(&["reset", "-q", "--hard", &first]);
    world.write_word("signed");
    let signed = world.commit_with(&["-S"]);
    let content = world.git(&["cat-file", "commit", &signed]) + "\n";
    let tampered = world.make_commit(&content.replace("a change", "another change"));
    world.git(&["reset", "-q", "--hard", &tampered]);
    world.push();
    let (said, _) = once(&world);
    assert!(said.contains("its signature does not belong to it"), "{said}");

    // The right key, over the right content, for another purpose.
    let (head, end) = content.split_once("\ngpgsig ").unwrap();
    let (_, message) = end.split_once("\n\n").unwrap();
    let payload = format!("{head}\n\n{message}");
    fs::write(world.path("payload"), &payload).unwrap();
    let made = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", "file", "-f"])
        .args([world.path("ours"), world.path("payload")])
        .output();
    assert!(made.unwrap().status.success());
    let signature = fs::read_to_string(world.path("payload.sig")).unwrap();
    let header = signature.trim().replace('\n', "\n ");
    let misused = world.make_commit(&format!("{head}\ngpgsig {header}\n\n{message}"));
    world.git(&["reset", "-q", "--hard", &misused]);
    world.push();
    let (said, _) = once(&world);
    assert!(said.contains("it is signed for `file`, not for `git`"), "{said}");

    assert_eq!(world.revisions(), [first]);
    assert_eq!(world.word(), "one");
    world.git(&["reset", "-q", "--hard", &signed]);
    world.push();
    once(&world);
    assert_eq!(world.word(), "signed");
}

#[test]
fn a_key_counts_only_for_what_and_when_its_line_says() {
    for (line, why) in [
        ("namespaces=\"file\" ", "may not sign for git"),
        ("valid-before=\"20200101Z\" ", "was not valid any more by then"),
        ("valid-after=\"29990101Z\" ", "was not valid yet by then"),
    ] {
        let world = signed_world(line);
        world.write_word("one");
        world.commit_with(&["-S"]);
        let (said, is_fine) = once(&world);
        assert!(!is_fine && said.contains(why), "{said}");
    }
}

#[test]
fn what_ran_before_signatures_were_asked_for_does_not_run_after() {
    let world = World::new("");
    assert!(once(&world).1);
    fs::remove_file(world.path("root/motd")).unwrap();
    fs::write(world.path("allowed_signers"), format!("max {}\n", ssh_key(&world, "ours"))).unwrap();
    world.follow(
        &world.bare().display().to_string(),
        ", verify: {allowed_signers: DIR/allowed_signers}",
    );
    let (said, is_fine) = once(&world);
    assert!(!is_fine && said.contains("it is not signed"), "{said}");
    assert_eq!(world.word(), "");
}

#[test]
fn a_signed_tag_vouches_for_its_commit_under_its_own_name_only() {
    let world = signed_world("");
    let url = world.bare().display().to_string();
    world.commit_word("one");
    world.git(&["tag", "-s", "-m", "the first", "v1"]);
    world.git(&["push", "-q", "origin", "v1"]);
    world.follow(&url, ", tag: v1, verify: {allowed_signers: DIR/allowed_signers}");
    let (said, is_fine) = once(&world);
    assert!(is_fine, "{said}");
    assert_eq!(world.word(), "one");

    world.git(&["push", "-q", "origin", "refs/tags/v1:refs/tags/v2"]);
    world.follow(&url, ", tag: v2, verify: {allowed_signers: DIR/allowed_signers}");
    let (said, _) = once(&world);
    assert!(said.contains("the tag `v2`: it was made as `v1`"), "{said}");
}

#[test]
fn a_signature_by_openpgp_counts_where_its_key_is_in_the_file() {
    if !has("gpg") || !has("gpgv") {
        return;
    }
    let world = World::empty();
    let gpg = |arguments: &[&str]| {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", world.path("gnupg")).args([
            "--batch",
            "--quiet",
            "--passphrase",
            "",
        ]);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    fs::create_dir(world.path("gnupg")).unwrap();
    Command::new("chmod").arg("700").arg(world.path("gnupg")).status().unwrap();
    gpg(&["--quick-generate-key", "Max <max@example.com>", "ed25519", "sign", "never"]);
    fs::write(world.path("keys.gpg"), gpg(&["--export", "max@example.com"])).unwrap();
    fs::write(world.path("none.gpg"), []).unwrap();
    let wrapper = world.path("gpg.sh");
    let script =
        format!("#!/bin/sh\nGNUPGHOME={} exec gpg \"$@\"\n", world.path("gnupg").display());
    fs::write(&wrapper, script).unwrap();
    Command::new("chmod").arg("755").arg(&wrapper).status().unwrap();
    world.git(&["config", "gpg.program", wrapper.to_str().unwrap()]);
    world.git(&["config", "user.signingkey", "max@example.com"]);
    world.write_word("one");
    world.commit_with(&["-S"]);
    let url = world.bare().display().to_string();
    world.follow(&url, ", verify: {openpgp: DIR/none.gpg}");
    let (said, is_fine) = once(&world);
    assert!(!is_fine && said.contains("none.gpg: it has no keys"), "{said}");
    gpg(&["--quick-generate-key", "Erika <erika@example.com>", "ed25519", "sign", "never"]);
    fs::write(world.path("others.gpg"), gpg(&["--export", "erika@example.com"])).unwrap();
    world.follow(&url, ", verify: {openpgp: DIR/others.gpg}");
    let (said, is_fine) = once(&world);
    assert!(!is_fine && said.contains("its OpenPGP signature"), "{said}");
    world.follow(&url, ", verify: {openpgp: DIR/keys.gpg}");
    let (said, is_fine) = once(&world);
    assert!(is_fine && said.contains("Max <max@example.com>"), "{said}");
    assert_eq!(world.word(), "one");
    let mut stop = Command::new("gpgconf");
    stop.env("GNUPGHOME", world.path("gnupg")).args(["--kill", "all"]).status().unwrap();
}

#[test]
fn signatures_that_a_running_agent_is_told_to_ask_for_count_for_what_it_runs_already() {
    let world = World::empty();
    let url = world.bare().display().to_string();
    let key = ssh_key(&world, "ours");
    fs::write(world.path("allowed_signers"), format!("max@example.com {key}\n")).unwrap();
    sign_by(&world, "ours");
    world.follow(&url, "");
    world.write_word("signed");
    let signed = world.commit_with(&["-S"]);
    let agent = world.agent(&[]);
    world.wait_for_word("signed");
    world.commit_word("unsigned");
    world.wait_for_word("unsigned");
    world.follow(&url, ", verify: {allowed_signers: DIR/allowed_signers}");
    world.wait_for_word("signed");
    world.wait_for_log("it is not signed");
    let status = world.driftless(&["status", "--config", "config", "--output", "json"]).output();
    let status: serde_json::Value = serde_json::from_slice(&status.unwrap().stdout).unwrap();
    assert_eq!(status["revision"], signed.as_str(), "{status}");
    assert!(agent.stop().success());

    // Where none is signed so, there is nothing to go back to.
    let world = World::new("");
    let agent = world.agent(&[]);
    world.wait_for_word("one");
    fs::write(world.path("allowed_signers"), format!("max {}\n", ssh_key(&world, "ours"))).unwrap();
    let url = world.bare().display().to_string();
    world.follow(&url, ", verify: {allowed_signers: DIR/allowed_signers}");
    world.wait_for_log("runs what agent.yml says");
    world.wait_until("nothing runs", || {
        let status =
            world.driftless(&["status", "--config", "config", "--output", "json"]).output();
        let status: serde_json::Value = serde_json::from_slice(&status.unwrap().stdout).unwrap();
        status["revision"].is_null() && status["apply"].is_null()
    });
    assert!(agent.stop().success());
}

#[test]
fn keys_that_are_changed_on_the_host_count_from_the_next_look_on() {
    let world = signed_world("");
    let signers = world.path("allowed_signers");
    let ours = fs::read_to_string(&signers).unwrap();
    let theirs = format!("erika@example.com {}\n", ssh_key(&world, "theirs"));
    let replace = |text: &str| {
        fs::write(world.path("allowed_signers.new"), text).unwrap();
        fs::rename(world.path("allowed_signers.new"), &signers).unwrap();
    };
    let status = || -> serde_json::Value {
        let asked = world.driftless(&["status", "--config", "config", "--output", "json"]).output();
        serde_json::from_slice(&asked.unwrap().stdout).unwrap_or_default()
    };
    world.write_word("ours");
    let first = world.commit_with(&["-S"]);
    let agent = world.agent(&[]);
    world.wait_for_word("ours");

    // A new key: what was refused for want of it is taken.
    sign_by(&world, "theirs");
    world.write_word("theirs");
    world.commit_with(&["-S"]);
    world.wait_for_log("not among the allowed signers");
    replace(&format!("{ours}{theirs}"));
    world.wait_for_word("theirs");

    // A file that nobody can read takes nothing away, not at a start either, and lets nothing in.
    replace("max@example.com ssh-ed25519\n");
    world.wait_for_log("allowed_signers:1: it has no key");
    sign_by(&world, "ours");
    world.write_word("meanwhile");
    world.commit_with(&["-S"]);
    assert!(agent.stop().success());
    let agent = world.agent(&[]);
    world.wait_for_log("its signature cannot be looked at again");
    world.wait_until("status says why", || {
        status()["refused"].to_string().contains("allowed_signers:1")
    });
    assert_eq!(world.word(), "theirs");
    replace(&format!("{ours}{theirs}"));
    world.wait_for_word("meanwhile");

    // A key that was taken out counts for nothing, nor does the revision that it signed.
    sign_by(&world, "theirs");
    world.write_word("stolen");
    let stolen = world.commit_with(&["-S"]);
    world.wait_for_word("stolen");
    replace(&ours);
    world.wait_for_word("meanwhile");
    world.wait_until("status says what is refused", || {
        let status = status();
        status["refused"]["commit"] == stolen.as_str() && status["revision"] != first.as_str()
    });
    assert!(agent.stop().success());
}
