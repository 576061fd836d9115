#!/usr/bin/env bash
# Changes managed files by hand, one after the other, and prints how long each takes to be put right:
# the median, the 99th percentile, the longest.
#
#   benches/drift.sh [FILES] [CHANGES]      default: 1000 files, 300 changes
#
# DRIFTLESS names a binary that is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
driftless=${DRIFTLESS:-$PWD/target/release/driftless}
[ -n "${DRIFTLESS:-}" ] || cargo build --release --quiet
work=$(mktemp -d "${TMPDIR:-/tmp}/driftless-drift.XXXXXX")
trap 'rm -rf "$work"' EXIT
python3 - "$driftless" "$work" "${1:-1000}" "${2:-300}" <<'PY'
import os, random, subprocess, sys, time
program, work, files, changes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
os.makedirs(f"{work}/config"), os.makedirs(f"{work}/files")
with open(f"{work}/config/agent.yml", "w") as out: out.write(f"data_dir: {work}/data\n")
with open(f"{work}/config/apply.yml", "w") as out:
    out.write("interval: 1h\nwatch: true\ntasks:\n")
    for n in range(files):
        out.write(f"  - copy: {{dest: {work}/files/{n}, content: 'as declared {n}', mode: '0644'}}\n")
agent = subprocess.Popen([program, "agent", "--config", f"{work}/config"], stderr=subprocess.DEVNULL,
                         env=dict(os.environ, DRIFTLESS_RUN_DIR=work))
def holds(n):
    try:
        with open(f"{work}/files/{n}") as file: return file.read() == f"as declared {n}"
    except FileNotFoundError: return False
try:
    while not holds(files - 1): time.sleep(0.05)
    time.sleep(2)
    took = []
    # Each file once at most, since who comes again and again finds it ever slower.
    for n in random.sample(range(files), min(changes, files)):
        with open(f"{work}/files/{n}", "w") as out: out.write("by hand")
        began = time.monotonic()
        while not holds(n):
            if time.monotonic() - began > 60: sys.exit(f"file {n} is not put right")
            time.sleep(0.0005)
        took.append((time.monotonic() - began) * 1000)
        time.sleep(random.random() * 0.05)
    took.sort()
    at = lambda part: took[min(len(took) - 1, int(len(took) * part))]
    with open(f"/proc/{agent.pid}/status") as status:
        peak = next(line.split()[1] for line in status if line.startswith("VmRSS"))
    print(f"{files} files, {len(took)} changes: p50 {at(.5):.1f} ms, p99 {at(.99):.1f} ms, "
          f"longest {took[-1]:.1f} ms; {int(peak) / 1024:.1f} MiB in memory")
finally:
    agent.terminate(); agent.wait()
PY
