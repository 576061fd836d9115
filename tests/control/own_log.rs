//! What the agent says of itself where the same goes wrong again and again.

use crate::rig::{Rig, component};
use std::net::TcpListener;

#[test]
fn what_fails_again_and_again_is_said_once_and_then_how_often_it_did() {
    let rig = Rig::new();
    let data = rig.path("data").display().to_string();
    rig.write("config/agent.yml", &format!("data_dir: {data}\nshutdown_timeout: 100ms\n"));
    // Nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!(
        "  away: {{type: http, inputs: [in], url: 'http://{port}/', retry: {{initial: 10ms, max: \
         20ms}}, batch: {{age: 10ms}}}}\n"
    );
    rig.write("config/topology.yml", &(rig.topology() + &away));
    let agent = rig.start();
    rig.append("in.log", "a line\n");
    rig.wait_until("it tries again and again", || {
        component(&rig.status(), "away")["errors"].as_u64().unwrap() > 50
    });
    assert!(!agent.stop().success(), "one line is not delivered");
    let log = rig.read("agent.log");
    assert!(log.matches("will try again").count() < 5, "{log}");
    assert!(log.contains("repeated ") && log.contains(" times in "), "{log}");
}
