#!/usr/bin/env bash
# What a scrape of the default collectors costs, in turn with node_exporter where it is installed:
# CPU time of the whole process and wall time a scrape, and memory after them. Quote ratios, not
# milliseconds: machines are noisy.
#
#   benches/compare-facts.sh [SCRAPES] [RUNS]      default: 300 scrapes over one connection, 2 runs
#
# DRIFTLESS names a binary that is built already. INTERFACES=200 adds so many interfaces, as root, in
# a network that is gone afterwards. SETTLE=70 waits so many seconds after the first scrapes, and
# scrapes once a second meanwhile: a host that was quiet for a minute is looked at less.
set -euo pipefail
cd "$(dirname "$0")/.."
driftless=${DRIFTLESS:-$PWD/target/release/driftless}
[ -n "${DRIFTLESS:-}" ] || cargo build --release --quiet
if [ -n "${INTERFACES:-}" ] && [ -z "${IN_OWN_NETWORK:-}" ]; then
    export DRIFTLESS=$driftless IN_OWN_NETWORK=1
    exec unshare --net --mount bash -c '
        mount -t sysfs sysfs /sys
        ip link set lo up
        for n in $(seq 1 2 "$INTERFACES"); do
            ip link add "veth$n" up type veth peer name "veth$((n + 1))"
            ip link set "veth$((n + 1))" up
        done
        exec "$@"' bash "benches/compare-facts.sh" "$@"
fi
peer=$(command -v prometheus-node-exporter || command -v node_exporter || true)

python3 - "${1:-300}" "${2:-2}" "$driftless" "$peer" <<'PY'
import http.client, os, socket, subprocess, sys, time
scrapes, runs, driftless, peer = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]

def cpu_ms(process):
    tasks = f"/proc/{process.pid}/task"
    return sum(int(open(f"{tasks}/{task}/schedstat").read().split()[0]) for task in os.listdir(tasks)) / 1e6

def kib(process, name):
    return next(int(line.split()[1]) for line in open(f"/proc/{process.pid}/status") if line.startswith(name))

def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]

def measure(name, command):
    port = free_port()
    process = subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        def scrape():
            connection.request("GET", "/metrics")
            return len(connection.getresponse().read())
        for _ in range(5): scrape()
        for _ in range(int(os.environ.get("SETTLE", "0"))):
            time.sleep(1)
            scrape()
        cpu, began = cpu_ms(process), time.monotonic()
        for _ in range(scrapes): size = scrape()
        cpu, wall = (cpu_ms(process) - cpu) / scrapes, (time.monotonic() - began) / scrapes * 1000
        print(f"{name:14} {cpu:8.3f} {wall:8.3f} {size:8} {kib(process, 'VmRSS') / 1024:8.1f} {kib(process, 'RssAnon') / 1024:8.1f}")
    finally:
        process.terminate()
        process.wait()

print(f"{'program':14} {'cpu_ms':>8} {'wall_ms':>8} {'bytes':>8} {'rss_MiB':>8} {'anon_MiB':>8}")
for _ in range(runs):
    measure("driftless", [driftless, "facts", "exporter"])
    if peer: measure("node_exporter", [peer])
PY
