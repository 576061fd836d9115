//! Log lines to measure with: made, not sampled, so that they are the same everywhere.

use std::fmt::Write;

/// A small linear congruential generator (Knuth's MMIX constants): the same data everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    /// The same rolls each time.
    pub(crate) fn new() -> Self {
        Self(42)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let at = self.roll(from.len() as u64);
        from[usize::try_from(at).unwrap_or(0)]
    }
}

/// Syslog, sshd, Apache error and HDFS lines; about 7 in 100 hold `error`, 139 bytes on average.
pub(crate) fn mixed(number: u64, dice: &mut Dice, line: &mut String) -> std::fmt::Result {
    let (minute, second) = (number / 60 % 60, number % 60);
    let (a, b, c) = (dice.roll(256), dice.roll(256), dice.roll(60_000));
    match dice.roll(4) {
        0 => writeln!(
            line,
            "Jun 14 15:{minute:02}:{second:02} combo sshd(pam_unix)[{c}]: authentication failure; \
             logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=218.188.{a}.{b}  user=root"
        ),
        1 => writeln!(
            line,
            "Dec 10 06:{minute:02}:{second:02} LabSZ sshd[{c}]: Failed password for invalid user \
             {} from 173.234.{a}.{b} port {c} ssh2 after {number} tries in this session",
            dice.pick(&["webmaster", "admin", "oracle", "test", "guest"])
        ),
        2 => {
            let level = dice.pick(&["error", "notice", "notice", "notice"]);
            writeln!(
                line,
                "[Sun Dec 04 04:{minute:02}:{second:02} 2005] [{level}] mod_jk child workerEnv in \
                 {} state {c} for request {number} of worker {a}.{b} on this host",
                dice.pick(&["init", "ready", "busy", "idle"])
            )
        }
        _ => writeln!(
            line,
            "081109 20{minute:02}{second:02} {c} INFO dfs.DataNode$PacketResponder: PacketResponder \
             {} for block blk_{number}{c} terminating, src /10.250.{a}.{b}:50010 dest /10.251.{b}.{a}",
            dice.roll(3)
        ),
    }
}

/// One JSON access log line: 12 keys, about 394 bytes; one status in five is 500 or above.
pub(crate) fn access(number: u64, dice: &mut Dice, line: &mut String) -> std::fmt::Result {
    let (a, b, c) = (dice.roll(256), dice.roll(256), dice.roll(100_000));
    let (minute, second) = (number / 60 % 60, number % 60);
    let status = dice.pick(&["200", "200", "304", "404", "503"]);
    let method = dice.pick(&["GET", "GET", "GET", "POST", "PUT"]);
    let path = dice.pick(&["/api/v1/orders", "/api/v1/users", "/static/app.js", "/health", "/"]);
    writeln!(
        line,
        "{{\"timestamp\":\"2026-11-22T10:{minute:02}:{second:02}.{c:06}Z\",\"remote_addr\":\
         \"203.0.{a}.{b}\",\"method\":\"{method}\",\"path\":\"{path}/{number}?session={c:x}&lang=en\",\
         \"protocol\":\"HTTP/1.1\",\"status\":{status},\"bytes\":{c},\"duration\":0.{c:05},\
         \"referer\":\"https://www.example.com/shop/category/{b}\",\"user_agent\":\"Mozilla/5.0 (X11; \
         Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36\",\
         \"request_id\":\"{number:016x}{c:016x}\",\"upstream\":{{\"host\":\"10.0.0.{a}\",\"time\":0.{b}}}}}"
    )
}

/// One line of an access log in nginx's combined format, about 210 bytes.
pub(crate) fn combined(number: u64, dice: &mut Dice, line: &mut String) -> std::fmt::Result {
    let (a, b, c) = (dice.roll(256), dice.roll(256), dice.roll(100_000));
    let (minute, second) = (number / 60 % 60, number % 60);
    let status = dice.pick(&["200", "200", "304", "404", "503"]);
    let method = dice.pick(&["GET", "GET", "GET", "POST", "PUT"]);
    let path = dice.pick(&["/api/v1/orders", "/api/v1/users", "/static/app.js", "/health", "/"]);
    writeln!(
        line,
        "203.0.{a}.{b} - - [22/Nov/2026:10:{minute:02}:{second:02} +0000] \"{method} \
         {path}/{number}?session={c:x} HTTP/1.1\" {status} {c} \"https://www.example.com/shop/{b}\" \
         \"Mozilla/5.0 (X11; Linux x86_64) Chrome/119.0.0.0 Safari/537.36\""
    )
}
