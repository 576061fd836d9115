#!/usr/bin/env bash
# How long a line takes from the write into a followed file to the write at its sink, through a
# filter and an fsync: median, 99th percentile and the longest of 200 lines.
#
#   benches/latency.sh [BINARY]      default: target/release/driftless
set -euo pipefail
binary=$(readlink -f "${1:-$(dirname "$0")/../target/release/driftless}")
work=$(mktemp -d "${TMPDIR:-/tmp}/driftless-latency.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/config"
cat >"$work/config/topology.yml" <<YML
sources: {in: {type: file, include: [$work/in.log]}}
transforms: {kept: {type: filter, keep: "message is search('line')", inputs: [in]}}
sinks: {out: {type: file, path: $work/out.log, inputs: [kept]}}
YML
echo "data_dir: $work/data" >"$work/config/agent.yml"

python3 - "$binary" "$work" <<'PY'
import os, subprocess, sys, time
binary, work = sys.argv[1:]
out = f"{work}/out.log"
written = open(f"{work}/in.log", "w", buffering=1)
agent = subprocess.Popen([binary, "agent", "--config", f"{work}/config"], stderr=subprocess.DEVNULL)

def arrives(size, within=10):
    end = time.monotonic() + within
    while not os.path.exists(out) or os.path.getsize(out) < size:
        if time.monotonic() > end: sys.exit("a line did not arrive")
        time.sleep(0.0002)

size, took = 0, []
try:
    for number in range(201):
        line = f"line {number}\n"
        begun = time.monotonic()
        written.write(line)
        size += len(line)
        arrives(size)
        took.append((time.monotonic() - begun) * 1000)
        time.sleep(0.02)
finally:
    agent.terminate()
    code = agent.wait(10)
took = sorted(took[1:])  # the first one waits for the agent to start
print(f"p50 {took[100]:.2f} ms, p99 {took[197]:.2f} ms, longest {took[-1]:.2f} ms, exit code {code}")
PY
