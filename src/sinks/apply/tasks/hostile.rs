//! Any bytes in place of the files and answers that tasks about the system read.

use super::{alternatives, gem, mount, nftables, sysctl, ufw};

/// Whatever it is, nothing panics.
pub(crate) fn table(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    alternatives::hostile(text);
    mount::hostile(text);
    nftables::hostile(text);
    sysctl::hostile(text);
    ufw::hostile(text);
    text.lines().for_each(gem::hostile);
}

pub(crate) fn tables() -> Vec<Vec<u8>> {
    [
        "auto\n/usr/bin/awk\nnawk\n/usr/bin/nawk\n\n/usr/bin/mawk\n5\n/usr/bin/mawk\n\n",
        "# disks\nUUID=1 / ext4 errors=remount-ro 0 1\n/dev/b none swap sw # data\n",
        "### tuple ### allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 in comment=6d61\n:ufw6-user-input - [0:0]\n",
        "nokogiri-1.13.10-x86_64-linux\n",
        "# swap\na.b = 60\n\n-a/b=0\nkernel.panic=1\n",
        r#"{"nftables": [{"chain": {"family": "inet", "table": "f", "name": "in", "type": "filter",
            "hook": "input", "prio": 0, "policy": "drop"}}, {"rule": {"family": "inet", "table": "f",
            "chain": "in", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip",
            "field": "saddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}},
            {"jump": {"target": "in"}}]}}]}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
