//! Packet filters and network interfaces: tasks in roots that have a network of their own.

use crate::accounts::{APPLY, reports, said_in_root, tasks};
use crate::installed::has;
use crate::kernel::{converged, outcomes};

/// Whether the filter of a network of its own can be asked at all.
const NEEDS_FILTER: &str =
    "iptables -S >/dev/null 2>&1 && nft list ruleset >/dev/null 2>&1 || { echo none; exit 0; }\n";

#[test]
fn rules_chains_and_policies_of_iptables_are_set_as_foretold_and_only_once() {
    if !has("iptables") {
        return;
    }
    let list = "  - iptables: {chain: OWN, chain_management: true}
  - ansible.builtin.iptables: {chain: INPUT, protocol: tcp, destination_port: 22, ctstate: [NEW, ESTABLISHED], jump: ACCEPT, comment: a shell}
  - iptables: {chain: INPUT, action: insert, in_interface: lo, jump: ACCEPT}
  - iptables: {chain: INPUT, action: insert, rule_num: 2, protocol: icmp, icmp_type: echo-request, limit: 5/second, limit_burst: 10, jump: ACCEPT}
  - iptables: {chain: OWN, source: 10.0.0.0/8, match: [iprange], dst_range: 10.0.0.1-10.0.0.9, jump: DROP}
  - iptables: {chain: OWN, protocol: tcp, destination_ports: ['80', '8000:8100'], reject_with: tcp-reset, ip_version: ipv4}
  - iptables: {chain: INPUT, source: '!10.9.0.0/16', log_prefix: 'odd ', log_level: info}
  - iptables: {chain: INPUT, protocol: tcp, tcp_flags: {flags: [SYN, ACK], flags_set: [SYN]}, jump: OWN}
  - iptables: {chain: INPUT, protocol: tcp, syn: negate, jump: OWN}
  - iptables: {table: nat, chain: PREROUTING, protocol: tcp, destination_port: 80, jump: REDIRECT, to_ports: 8080}
  - iptables: {chain: FORWARD, policy: DROP, ip_version: both}
  - iptables: {chain: OUTPUT, protocol: udp, destination_port: 53, jump: ACCEPT, state: absent}
  - iptables: {chain: KEPT, flush: true}
  - iptables: {chain: OLD, chain_management: true, state: absent}
";
    let prepare = format!(
        "{NEEDS_FILTER}iptables -A OUTPUT -p udp --dport 53 -j ACCEPT; iptables -N OLD; iptables -N KEPT; iptables -A KEPT -j DROP\n"
    );
    let look = "iptables -S; iptables -t nat -S PREROUTING; ip6tables -S FORWARD";
    let script = format!("{prepare}{APPLY}{}apply\nagain\n{look}\n", tasks(list));
    let Some(said) = said_in_root(&script) else { return };
    if said == "none\n" {
        return;
    }
    let run = outcomes(&said, "RUN");
    assert!(run.iter().all(|(status, _)| status == "changed"), "{said}");
    assert_eq!(outcomes(&said, "DRY"), run, "foretold");
    assert!(outcomes(&said, "AGAIN").iter().all(|(status, _)| status == "ok"), "{said}");
    let rest: Vec<&str> = said.lines().filter(|line| line.starts_with('-')).collect();
    insta::assert_snapshot!(rest.join("\n"));
}

#[test]
fn a_rule_for_a_chain_that_there_is_not_fails_dry_and_for_good_and_a_block_is_taken_back() {
    if !has("iptables") {
        return;
    }
    let list = "  - iptables: {chain: NONE, jump: DROP}
    ignore_errors: true
  - block:
      - rollback: true
        block:
          - iptables: {chain: OWN, chain_management: true}
          - iptables: {chain: OWN, jump: DROP}
          - iptables: {chain: INPUT, policy: DROP}
          - fail: {msg: no}
    rescue: [{debug: {msg: all is as it was}}]
";
    let script = format!("{NEEDS_FILTER}{APPLY}{}apply\niptables -S", tasks(list));
    let Some(said) = said_in_root(&script) else { return };
    if said == "none\n" {
        return;
    }
    for kind in ["DRY", "RUN"] {
        let told = reports(&said, kind).next().unwrap();
        assert_eq!(told["message"], "the table `filter` has no chain `NONE`");
    }
    assert!(said.ends_with("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"), "{said}");
}

#[test]
fn a_rule_that_a_block_has_deleted_is_put_back_to_its_place() {
    if !has("iptables") {
        return;
    }
    let list = "  - block:
      - rollback: true
        block:
          - iptables: {chain: INPUT, protocol: tcp, destination_port: 25, jump: DROP, state: absent}
          - iptables: {chain: INPUT, jump: OWN, state: absent}
          - iptables: {chain: OWN, flush: true}
          - fail: {msg: no}
    rescue: [{debug: {msg: all is as it was}}]
";
    let prepare = "iptables -N OWN
        for port in 22 25 80; do iptables -A INPUT -p tcp --dport $port -j DROP; done
        iptables -A INPUT -j OWN; iptables -A INPUT -j ACCEPT
        iptables -A OWN -p udp -m comment --comment 'of mine' -j DROP; iptables -A OWN -j RETURN; iptables -S >/srv/before\n";
    let script = format!(
        "# may mount\n{NEEDS_FILTER}{prepare}{APPLY}{}apply\niptables -S | diff /srv/before - && echo same",
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    if said == "none\n" {
        return;
    }
    let changed = outcomes(&said, "RUN").iter().filter(|(status, _)| status == "changed").count();
    assert!(changed >= 3 && said.ends_with("same\n"), "{said}");
}

#[test]
fn a_rule_of_ufw_that_a_block_has_deleted_is_put_back_to_its_place() {
    if !has("ufw") {
        return;
    }
    let list = "  - block:
      - rollback: true
        block:
          - ufw: {rule: allow, port: 25, proto: tcp, delete: true}
          - ufw: {rule: deny, from_ip: 10.0.0.0/8, delete: true}
          - fail: {msg: no}
    rescue: [{debug: {msg: all is as it was}}]
";
    let prepare =
        "ufw allow 22/tcp >&2; ufw allow 25/tcp comment 'mail of all' >&2; ufw allow 80/tcp >&2
        ufw deny from 10.0.0.0/8 >&2
        rules() { grep -h '^### tuple' /etc/ufw/user.rules /etc/ufw/user6.rules; }
        rules >/srv/before\n";
    let script = format!(
        "# may mount\n{NEEDS_FILTER}{prepare}{APPLY}{}apply\nrules | diff /srv/before - && echo same",
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    if said == "none\n" {
        return;
    }
    let changed = outcomes(&said, "RUN").iter().filter(|(status, _)| status == "changed").count();
    assert!(changed >= 2 && said.ends_with("same\n"), "{said}");
}

#[test]
fn ufw_is_reset_as_foretold_and_only_once_and_a_block_takes_that_back() {
    if !has("ufw") {
        return;
    }
    let prepare = format!(
        "# may mount
        export LANG=de_DE.UTF-8 LC_ALL= LANGUAGE=de
        {NEEDS_FILTER}ufw allow 22/tcp >&2; ufw allow 25/tcp >&2; ufw --force enable >&2
        rules() {{ (cd /etc/ufw && grep ^ENABLED ufw.conf && {{ grep -h '^### tuple' user.rules user6.rules || true; }}; stat -c '%n %a' *.rules); }}\n"
    );
    let list = "  - ufw: {state: reset}
  - ufw: {rule: allow, port: 22, proto: tcp, delete: true}
";
    let block = "  - block:
      - rollback: true
        block:
          - ufw: {state: reset}
          - ufw: {rule: allow, port: 25, proto: tcp}
          - ufw: {state: enabled}
          - fail: {msg: no}
    rescue: [{debug: {msg: all is as it was}}]
";
    let script = format!(
        "{prepare}rules >/srv/before
        {APPLY}{}apply
        rules | diff /srv/before - && echo same
        iptables -S ufw-user-input | grep -c 'dport 25 '
        {}apply
        again
        rules; ls /etc/ufw | grep -c '~$'",
        tasks(block),
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    if said == "none\n" {
        return;
    }
    // The names of the files that are kept beside have the time in them.
    let told = |kind| -> Vec<(String, Vec<String>)> {
        let kept = |change: &&serde_json::Value| !change["path"].as_str().unwrap().ends_with('~');
        let summary = |change: &serde_json::Value| change["summary"].to_string();
        let of = |changes: &serde_json::Value| -> Vec<String> {
            changes.as_array().unwrap().iter().filter(kept).map(summary).collect()
        };
        outcomes(&said, kind).into_iter().map(|(status, all)| (status, of(&all))).collect()
    };
    let (dry, run) = (told("DRY"), told("RUN"));
    assert_eq!(dry[..3], run[..3], "foretold: {said}");
    assert!(run[..3].iter().all(|(status, changes)| status == "changed" && !changes.is_empty()));
    assert!(said.contains("same\n1\n"), "all is taken back: {said}");
    assert!(outcomes(&said, "AGAIN").iter().all(|(status, _)| status == "ok"), "{said}");
    let rest: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("AGAIN")).collect();
    let rest: Vec<&str> = rest.into_iter().filter(|line| !line.starts_with("AGAIN")).collect();
    insta::assert_snapshot!(rest.join("\n"));
}

/// A table as people write it, which is not as the kernel tells it.
const TABLE: &str = r#"
          set admins { type ipv4_addr; elements = { 10.0.0.2, 10.0.0.1 }; }
          chain input {
            type filter hook input priority 0; policy drop;
            ct state established,related accept
            iifname "lo" accept
            ip saddr @admins tcp dport { 443, 22 } accept
          }
"#;

fn nft(more: &str, content: &str) -> String {
    format!("  - nftables:\n      table: inet filter\n{more}      content: |{content}")
}

#[test]
fn a_table_of_nftables_is_loaded_kept_and_repaired_and_others_stay() {
    if !has("nft") {
        return;
    }
    let prepare = format!("# may mount\n{NEEDS_FILTER}nft 'table ip other {{ chain c {{ }}; }}'\n");
    let look = "nft list ruleset; head -n 3 /etc/nftables.d/inet-filter.nft; stat -c %a /etc/nftables.d/inet-filter.nft";
    let Some(said) = converged_filter(&prepare, &nft("", TABLE), look) else { return };
    insta::assert_snapshot!(said);
    let drifted = format!(
        "{prepare}{}/share/driftless apply /srv/config >&2; nft add rule inet filter input drop\n",
        tasks(&nft("", TABLE))
    );
    let Some(again) = converged_filter(&drifted, &nft("", TABLE), look) else { return };
    assert_eq!(again, said, "what was added by hand is gone");
    let absent = "  - nftables: {table: inet filter, state: absent}\n";
    let Some(said) = converged_filter(&drifted, absent, "nft list ruleset; ls /etc/nftables.d")
    else {
        return;
    };
    assert_eq!(said, "table ip other {\n\tchain c {\n\t}\n}\n");
    let all =
        "  - nftables: {content: \"table ip one { chain c { accept; }; }\", path: /srv/all.nft}\n";
    let Some(said) = converged_filter(&drifted, all, "nft list ruleset; head -n 2 /srv/all.nft")
    else {
        return;
    };
    assert_eq!(
        said,
        "table ip one {\n\tchain c {\n\t\taccept\n\t}\n}\n#!/usr/sbin/nft -f\nflush ruleset\n"
    );
}

/// As [`converged`], where there is a filter.
fn converged_filter(prepare: &str, list: &str, look: &str) -> Option<String> {
    let probe = said_in_root(&format!("# may mount\n{NEEDS_FILTER}echo some"))?;
    if probe != "some\n" {
        return None;
    }
    converged(prepare, list, look)
}

#[test]
fn rules_that_would_cut_the_session_are_refused_unless_forced() {
    if !has("nft") {
        return;
    }
    let cuts = "\n          chain input { type filter hook input priority 0; policy drop; tcp dport 80 accept; }\n";
    let list =
        format!("{}    ignore_errors: true\n{}", nft("", cuts), nft("      force: true\n", cuts));
    let wrong = nft("", "\n          chain input { type filtr hook input priority 0; }\n");
    let script = format!(
        "# may mount\n{NEEDS_FILTER}export SSH_CONNECTION='10.0.0.9 5000 10.0.0.1 22'
        {APPLY}{}apply\n{}/share/driftless apply /srv/config 2>&1 | grep -o 'nft objects' || true\n",
        tasks(&list),
        tasks(&wrong)
    );
    let Some(said) = said_in_root(&script) else { return };
    if said == "none\n" {
        return;
    }
    for kind in ["DRY", "RUN"] {
        let all: Vec<_> = reports(&said, kind).collect();
        assert_eq!(
            all[0]["message"],
            "the chain `inet filter input` would cut the session from 10.0.0.9 to port 22 that this runs in"
        );
        assert_eq!(all[1]["status"], "changed", "{said}");
    }
    assert!(said.ends_with("nft objects\n"), "{said}");
}

#[test]
fn rules_and_defaults_of_ufw_are_set_as_foretold_and_only_once() {
    if !has("ufw") {
        return;
    }
    let list = "  - ufw: {rule: allow, port: 22, proto: tcp, comment: a shell}
  - community.general.ufw: {rule: deny, from_ip: 10.0.0.0/8, to_port: '8000:8100', proto: udp, insert: 1}
  - ufw: {rule: allow, name: OpenSSH, delete: true}
  - ufw: {default: reject, direction: outgoing}
  - ufw: {logging: medium}
  - ufw: {rule: allow, port: 99, proto: tcp, delete: true}
";
    let prepare = format!("# may mount\n{NEEDS_FILTER}ufw allow 99/tcp >&2\n");
    let look = "grep -h '^### tuple' /etc/ufw/user.rules /etc/ufw/user6.rules; grep ^LOGLEVEL /etc/ufw/ufw.conf; grep OUTPUT /etc/default/ufw";
    let list = list.replace("  - ufw: {rule: allow, name: OpenSSH, delete: true}\n", "");
    let Some(said) = converged_filter(&prepare, &list, look) else { return };
    insta::assert_snapshot!(said);
}

/// Puts the program `ip` aside: it judges what becomes of the network, and no task may start it.
const NO_IP: &str = "cp \"$(command -v ip)\" /run/judge; rm -f /bin/ip /sbin/ip /usr/bin/ip /usr/sbin/ip; hash -r\n";

/// Tells what was set. What the kernel finds out by and by, such as whether a line is connected, is left
/// out: it comes when it comes. So is which of the addresses of a network is the first: the kernel keeps
/// the others when that goes, or does not, as it is set.
const NETWORK: &str = r"network() {
    /run/judge -o link | sed -E 's/^[0-9]+: ([a-z0-9]+)[^<]*<([^>]*)> (mtu [0-9]+) qdisc [a-z_]+( master [a-z0-9]+)?.*/\1 \3\4 [\2]/; s/\[(.*,)?UP(,.*)?\]/up/; s/\[.*\]/down/' | sort
    /run/judge -o -4 addr | sed -E 's/^[0-9]+: //; s/ secondary//; s/ *\\.*//' | sort
    { /run/judge -4 route; /run/judge -6 route; } | sed -E '/^fe80/d; s/ linkdown//; s/ src [^ ]+//; s/ *$//'
}
";

/// Whether a network of its own can have what `prepare` makes.
fn can_have(prepare: &str) -> bool {
    let probe = said_in_root(&format!("{{ {prepare}\n}} || {{ echo none; exit 0; }}\necho some"));
    probe.as_deref() == Some("some\n")
}

#[test]
fn interfaces_get_addresses_and_routes_as_foretold_and_only_once_without_a_program() {
    if !has("ip") {
        return;
    }
    let list = "  - interface: {name: t0, type: bridge, mtu: 1400, addresses: [10.7.0.1/24, 2001:DB8::1/64], routes: [{to: 10.8.0.0/16, via: 10.7.0.254, metric: 5}, {to: default, via: 10.7.0.253}, {to: '2001:db8:1::/48', via: '2001:db8::2'}, {to: 10.9.0.0/16}, {to: 10.10.0.5, via: 'fe80::9'}]}
  - interface: {name: br0, type: bridge}
  - interface: {name: t1, master: br0}
  - interface: {name: old, exclusive: true, addresses: [10.6.0.1/24, 10.6.0.4/24], state: down}
  - interface: {name: gone, state: absent}
";
    let prepare = "ip link add old type veth peer t1 && ip link add gone type bridge && ip link set old up && ip addr add 10.6.0.2/24 dev old && ip addr add 10.6.0.3/24 dev old && ip addr add 10.6.0.4/24 dev old";
    if !can_have(prepare) {
        return;
    }
    let prepare = format!("{prepare}\n{NO_IP}{NETWORK}");
    let Some(said) = converged(&prepare, list, "network") else { return };
    insta::assert_snapshot!(said);
}

#[test]
fn what_a_block_has_done_to_interfaces_is_taken_back_message_by_message() {
    if !has("ip") {
        return;
    }
    let list = "  - block:
      - rollback: true
        block:
          - interface: {name: old, mtu: 1300, exclusive: true, addresses: [10.6.0.4/24, 10.5.0.1/24], routes: [{to: 10.8.0.0/16, via: 10.6.0.254}]}
          - interface: {name: br0, type: bridge, addresses: [10.4.0.1/24]}
          - interface: {name: t1, master: br0, state: down}
          - fail: {msg: no}
    rescue: [{debug: {msg: all is as it was}}]
";
    let prepare = "ip link add old type veth peer t1 && ip link set old up && ip link set t1 up && ip addr add 10.6.0.2/24 dev old && ip addr add 10.6.0.3/24 dev old && ip addr add 10.6.0.4/24 dev old";
    if !can_have(prepare) {
        return;
    }
    let script = format!(
        "{prepare}\n{NO_IP}{NETWORK}{APPLY}{}network >/run/before\napply\nnetwork >/run/after\ndiff /run/before /run/after && echo same\n",
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    assert!(said.ends_with("same\n"), "{said}");
    assert!(outcomes(&said, "RUN").iter().any(|(status, _)| status == "changed"), "{said}");
}

#[test]
fn an_interface_that_a_block_has_removed_is_made_again_with_all_it_had() {
    if !has("ip") {
        return;
    }
    let list = "  - block:
      - rollback: true
        block:
          - interface: {name: t0, state: absent}
          - interface: {name: old.7, state: absent}
          - fail: {msg: no}
    rescue: [{debug: {msg: all is as it was}}]
  - interface: {name: old, state: absent}
";
    let prepare = "ip link add old type veth peer t1 && ip link set old up && ip link set t1 up && ip link add t0 type bridge && ip link set t1 master t0 && ip link set t0 mtu 1400 up && ip addr add 10.6.0.2/24 dev t0 && ip addr add 10.6.0.3/24 dev t0 && ip route add 10.8.0.0/16 via 10.6.0.9 metric 7";
    let vlan = "ip link add link old name old.7 type vlan id 7 && ip link set old.7 up && ip addr add 10.9.0.1/24 dev old.7";
    if !can_have(prepare) {
        return;
    }
    // Not every kernel knows VLANs.
    let script = format!(
        "{prepare}\n{{ {vlan}; }} 2>/dev/null || true\n{NO_IP}{NETWORK}{APPLY}{}network >/run/before\napply\nnetwork >/run/after\ndiff /run/before /run/after || true\n",
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    // The last is hardware, as far as anybody knows, and takes along what is on it.
    let gone: Vec<_> = said.lines().filter(|line| line.starts_with('<')).collect();
    assert!(gone.iter().all(|line| line.contains("old") || line.contains("t1 mtu")), "{said}");
    assert!(!said.lines().any(|line| line.starts_with('>')), "{said}");
    for kind in ["DRY", "RUN"] {
        let last = reports(&said, kind).last().unwrap();
        let told = last["changes"][0]["summary"].as_str().unwrap();
        assert!(told.ends_with("present → absent, for good: it cannot be made again"), "{told}");
    }
}

#[test]
fn the_kernel_and_a_dry_run_say_what_is_wrong_with_a_network() {
    if !has("ip") {
        return;
    }
    let list = "  - interface: {name: nowhere}
    ignore_errors: true
  - interface: {name: old, master: nowhere}
    ignore_errors: true
  - interface: {name: old, routes: [{to: default, via: 10.1.2.3}]}
    ignore_errors: true
";
    let prepare = "ip link add old type bridge && ip link set old up";
    if !can_have(prepare) {
        return;
    }
    let script = format!("{prepare}\n{NO_IP}{APPLY}{}apply\n", tasks(list));
    let Some(said) = said_in_root(&script) else { return };
    for kind in ["DRY", "RUN"] {
        let messages: Vec<_> = reports(&said, kind).map(|it| it["message"].clone()).collect();
        assert_eq!(messages[0], "there is no interface `nowhere`", "{said}");
        assert_eq!(messages[1], "there is no interface `nowhere`");
    }
    let refused = reports(&said, "RUN").nth(2).unwrap()["message"].clone();
    assert_eq!(
        refused,
        "interface old: route default via 10.1.2.3: absent → present is refused: Network is unreachable (Nexthop has invalid gateway)"
    );
}

#[test]
fn an_address_that_the_session_uses_is_not_taken_away_unless_forced() {
    if !has("ip") {
        return;
    }
    let list = "  - interface: {name: old, exclusive: true, addresses: [10.6.0.1/24]}
    ignore_errors: true
  - interface: {name: old, exclusive: true, addresses: [10.6.0.1/24], force: true}
";
    let script = format!(
        "ip link add old type bridge && ip link set old up && ip addr add 10.6.0.2/24 dev old || {{ echo none; exit 0; }}
        export SSH_CONNECTION='10.0.0.9 5000 10.6.0.2 22'
        {APPLY}{}apply\n",
        tasks(list)
    );
    let Some(said) = said_in_root(&script) else { return };
    if said == "none\n" {
        return;
    }
    for kind in ["DRY", "RUN"] {
        let all: Vec<_> = reports(&said, kind).collect();
        let message = "that would cut the session from 10.0.0.9 to 10.6.0.2 that this runs in";
        assert_eq!(all[0]["message"], message);
        assert_eq!(all[1]["status"], "changed", "{said}");
    }
}

/// A host with SELinux, as files and programs show it: they take only what is expected.
const SELINUX: &str = r#"
    # may mount
    mkdir -p /run/sys/fs/selinux/booleans /etc/selinux/targeted/contexts/files /var/lib/selinux/targeted/active
    mount --bind /run/sys /sys
    echo 1 >/sys/fs/selinux/enforce
    echo '0 0' >/sys/fs/selinux/booleans/httpd_can_network_connect
    echo '1 1' >/sys/fs/selinux/booleans/httpd_enable_cgi
    printf '# SELINUX= can take one of three\nSELINUX=enforcing\nSELINUXTYPE=targeted\n' >/etc/selinux/config
    printf '# This file is auto-generated by libsemanage\nhttpd_enable_cgi=1\n' >/var/lib/selinux/targeted/active/booleans.local
    printf '/srv/old(/.*)?    system_u:object_r:var_t:s0\n/srv/f -- system_u:object_r:var_t:s0\n' \
        >/etc/selinux/targeted/contexts/files/file_contexts.local
    : >/run/calls
    stub() { rm -f /sbin/$1 /usr/sbin/$1; { echo '#!/bin/sh'; cat; } >/usr/sbin/$1; chmod 755 /usr/sbin/$1; }
    stub setenforce <<'END'
echo "setenforce $*" >>/run/calls
[ "$*" = 0 ] && echo 0 >/sys/fs/selinux/enforce
END
    stub setsebool <<'END'
echo "setsebool $*" >>/run/calls
case "$*" in
    '-P httpd_can_network_connect on')
        echo 'httpd_can_network_connect=1' >>/var/lib/selinux/targeted/active/booleans.local
        echo '1 1' >/sys/fs/selinux/booleans/httpd_can_network_connect ;;
    'httpd_enable_cgi off') echo '0 0' >/sys/fs/selinux/booleans/httpd_enable_cgi ;;
    *) exit 9 ;;
esac
END
    stub semanage <<'END'
echo "semanage $*" >>/run/calls
local=/etc/selinux/targeted/contexts/files/file_contexts.local
case "$*" in
    'fcontext -a -f d -s system_u -t httpd_sys_content_t -r s0 /srv/www(/.*)?')
        echo '/srv/www(/.*)?    -d    system_u:object_r:httpd_sys_content_t:s0' >>$local ;;
    'fcontext -N -m -f f -s system_u -t etc_t -r s0 /srv/f') sed -i 's/^\(.srv.f .*\)var_t/\1etc_t/' $local ;;
    'fcontext -d -f a /srv/old(/.*)?') sed -i '/^.srv.old/d' $local ;;
    *) exit 9 ;;
esac
END
"#;

#[test]
fn selinux_its_switches_and_labels_are_set_as_its_records_have_them() {
    let list = "  - selinux: {state: permissive, policy: targeted}
  - seboolean: {name: httpd_can_network_connect, state: true, persistent: true}
  - ansible.posix.seboolean: {name: httpd_enable_cgi, state: false}
  - sefcontext: {target: '/srv/www(/.*)?', ftype: d, setype: httpd_sys_content_t}
  - community.general.sefcontext: {path: /srv/f, ftype: f, setype: etc_t, reload: false}
  - sefcontext: {target: '/srv/old(/.*)?', state: absent}
";
    let look = "cat /run/calls /etc/selinux/config /etc/selinux/targeted/contexts/files/file_contexts.local";
    let Some(said) = converged(SELINUX, list, look) else { return };
    insta::assert_snapshot!(said);
}
