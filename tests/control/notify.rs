//! What a service manager hears.

use crate::process::Process;
use crate::rig::Rig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Listens as systemd does.
struct Listener(UnixDatagram);

impl Listener {
    /// What is said next that is not the field `but`.
    fn next(&self, but: &str) -> String {
        loop {
            let mut bytes = [0; 4096];
            let length = self.0.recv(&mut bytes).expect("it says something in time");
            let told = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if !told.starts_with(but) {
                return told;
            }
        }
    }
}

fn signal(agent: &Process, signal: Signal) {
    kill(Pid::from_raw(agent.id().try_into().unwrap()), signal).unwrap();
}

#[test]
fn a_service_manager_hears_of_the_start_of_reloads_of_the_end_and_that_the_agent_lives() {
    let rig = Rig::new();
    let name = format!("driftless-control-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = Listener(UnixDatagram::bind_addr(&address).unwrap());
    listener.0.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut command = rig.agent();
    command.env("NOTIFY_SOCKET", format!("@{name}")).env("WATCHDOG_USEC", "200000");
    let agent = Process::spawn(&mut command);
    assert_eq!(listener.next("WATCHDOG=1"), "READY=1\nSTATUS=running");
    for _ in 0..3 {
        assert_eq!(listener.next("none"), "WATCHDOG=1");
    }
    signal(&agent, Signal::SIGHUP);
    let told = listener.next("WATCHDOG=1");
    assert!(told.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told}");
    let told = listener.next("WATCHDOG=1");
    assert_eq!(told, "READY=1\nSTATUS=running; the last config was taken");
    // A process that stands still gives no sign of life.
    signal(&agent, Signal::SIGSTOP);
    listener.0.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut bytes = [0; 64];
    while listener.0.recv(&mut bytes).is_ok() {}
    listener.0.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    signal(&agent, Signal::SIGCONT);
    assert_eq!(listener.next("none"), "WATCHDOG=1");
    signal(&agent, Signal::SIGTERM);
    assert!(listener.next("WATCHDOG=1").starts_with("STOPPING=1\n"));
    assert!(agent.wait().success());
}
