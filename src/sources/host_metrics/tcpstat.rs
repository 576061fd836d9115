//! `tcpstat`: TCP connections by state.

use std::collections::BTreeMap;

use super::collector::{CollectError, Collector, reading};
use super::families::labels;
use crate::event::metric::{Family, MetricKind};
use crate::host::netlink::{Netlink, Subject, u32_at};
use crate::host::proc::HeldFile;
use crate::host::roots::Roots;

/// `SOCK_DIAG_BY_FAMILY`
const BY_FAMILY: u16 = 20;
const TCP: u8 = 6;
const FAMILIES: [u8; 2] = [2, 10];

/// States by the kernel's number, from 1 on; then bytes that wait in the queues, which are told as
/// states too.
const STATES: [&str; 12] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
    // A connection that is being accepted and has no socket yet.
    "new_syn_recv",
];
const RECEIVED: &str = "rx_queued_bytes";
const SENT: &str = "tx_queued_bytes";

/// Asks over netlink; reads `/proc/net/tcp` where `/proc` is another host's.
pub struct Tcpstat {
    netlink: Option<Netlink>,
    files: [HeldFile; 2],
}

impl Tcpstat {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        let file = |path| HeldFile::new(roots.procfs.join(path));
        Self {
            netlink: roots.is_live().then(|| Netlink::new(Subject::Sockets)),
            files: [file("net/tcp"), file("net/tcp6")],
        }
    }
}

impl Collector for Tcpstat {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut count = Count::default();
        if let Some(netlink) = &mut self.netlink {
            let path = self.files[0].path();
            for family in FAMILIES {
                let add = |body: &[u8]| count.add_message(body);
                netlink.dump(BY_FAMILY, &question(family), add).map_err(reading(path))?;
            }
        } else {
            for file in &mut self.files {
                let Ok(text) = file.text() else { continue };
                text.lines().skip(1).for_each(|line| count.add_line(line));
            }
        }
        let mut family = Family::new(
            "node_tcp_connection_states",
            MetricKind::Gauge,
            "TCP connections by state, and bytes that wait in their queues.",
        );
        for (state, number) in count.0 {
            family.push(labels([("state", state)]), number as f64);
        }
        out.push(family);
        Ok(())
    }
}

/// `struct inet_diag_req_v2` for all states, without a filter.
fn question(family: u8) -> [u8; 56] {
    let mut question = [0; 56];
    question[0] = family;
    question[1] = TCP;
    question[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    question
}

#[derive(Default)]
struct Count(BTreeMap<&'static str, u64>);

impl Count {
    fn add(&mut self, state: u8, received: u64, sent: u64) {
        let Some(name) = usize::from(state).checked_sub(1).and_then(|at| STATES.get(at)) else {
            return;
        };
        *self.0.entry(name).or_default() += 1;
        *self.0.entry(RECEIVED).or_default() += received;
        *self.0.entry(SENT).or_default() += sent;
    }

    /// `struct inet_diag_msg`
    fn add_message(&mut self, body: &[u8]) {
        let queue = |at| u32_at(body, at).map(u64::from);
        if let (Some(state), Some(received), Some(sent)) = (body.get(1), queue(56), queue(60)) {
            self.add(*state, received, sent);
        }
    }

    /// The fourth column is the state, the fifth `TX:RX`, all in hexadecimal.
    fn add_line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_ascii_whitespace().take(5).collect();
        let [_, _, _, state, queues] = words[..] else { return };
        let hexadecimal = |word| u64::from_str_radix(word, 16).ok();
        let queues =
            queues.split_once(':').map(|(sent, got)| (hexadecimal(sent), hexadecimal(got)));
        if let (Ok(state), Some((Some(sent), Some(received)))) =
            (u8::from_str_radix(state, 16), queues)
        {
            self.add(state, received, sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_socket_that_listens_is_counted() {
        let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut families = Vec::new();
        Tcpstat::new(&Roots::live()).collect(&mut families).unwrap();
        let states = families[0].samples.iter().map(|sample| &*sample.labels[0].1);
        assert!(states.clone().any(|state| state == "listen"), "{states:?}");
    }

    #[test]
    fn lines_of_the_file_are_counted_by_state() {
        let mut count = Count::default();
        count.add_line("0: 0100007F:1F90 00000000:0000 0A 00000001:00000010 00:00000000");
        count.add_line("1: broken");
        assert_eq!(count.0, BTreeMap::from([("listen", 1), (RECEIVED, 16), (SENT, 1)]));
    }
}
