#!/usr/bin/env bash
# What the quick start's agent takes while it has nothing to do but its own rounds: memory, CPU time, wake-ups.
#
#   benches/idle.sh [SECONDS]      default: 60, measured from 25 s after the start on (SETTLE says another)
#
# DRIFTLESS names a binary that is built already. The example runs in a scratch copy and on a free port.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${DRIFTLESS:-}" ] || cargo build --release --quiet
driftless=$(readlink -f "${DRIFTLESS:-target/release/driftless}")
work=$(mktemp -d "${TMPDIR:-/tmp}/driftless-idle.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp -r config-examples/quickstart "$work/config"
sed -i "s|/tmp/driftless-quickstart|$work/run|" "$work/config/vars.yml"
python3 - "$driftless" "$work" "${1:-60}" "${SETTLE:-25}" <<'PY'
import glob, os, socket, subprocess, sys, time
program, work, seconds, settle = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
log, facts = f"{work}/agent.log", f"{work}/config/facts.yml"
def text(path):
    with open(path) as file: return file.read()
with socket.socket() as it:
    it.bind(("127.0.0.1", 0))
    asked = text(facts).replace("127.0.0.1:8000", f"127.0.0.1:{it.getsockname()[1]}")
with open(facts, "w") as out: out.write(asked)
with open(log, "w") as out:
    agent = subprocess.Popen([program, "agent", "--config", f"{work}/config"], stderr=out, stdout=out, cwd=work,
                             env=dict(os.environ, DRIFTLESS_RUN_DIR=work))
threads = f"/proc/{agent.pid}/task"
def rounds():
    """Of each thread: nanoseconds on a processor, how often it gave one up of its own will."""
    found = {}
    for thread in glob.glob(f"{threads}/*"):
        try:
            on = int(text(f"{thread}/schedstat").split()[0])
            gave_up = next(line.split()[1] for line in text(f"{thread}/status").splitlines()
                           if line.startswith("voluntary_ctxt_switches"))
        except (FileNotFoundError, ProcessLookupError): continue
        found[thread] = on, int(gave_up)
    return found
def processor():
    """Seconds of the whole process, its ended threads and the children it waited for included (to 10 ms)."""
    fields = text(f"/proc/{agent.pid}/stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
def memory():
    return {name.rstrip(":"): int(value) * 1024 for name, value, *_ in
            (line.split() for line in text(f"/proc/{agent.pid}/smaps_rollup").splitlines()[1:])}
def wait(time_left):
    try: agent.wait(time_left)
    except subprocess.TimeoutExpired: return
    sys.exit(f"the agent ended with {agent.returncode}:\n{text(log)}")
try:
    wait(settle)
    before, clock, began = rounds(), processor(), time.monotonic()
    wait(seconds)
    after, spent, took = rounds(), processor() - clock, time.monotonic() - began
    # What a thread did that ended meanwhile is in `spent` only.
    on, woken = (sum(now[n] - before.get(thread, (0, 0))[n] for thread, now in after.items()) for n in (0, 1))
    held = memory()
    mb = lambda name: f"{held[name] / 1e6:.1f} MB"
    print(f"memory      {mb('Rss')} resident, of which {mb('Anonymous')} anonymous (Pss {mb('Pss')})")
    print(f"processor   {100 * on / 1e9 / took:.3f} % of one, its {len(after)} threads; "
          f"{100 * spent / took:.2f} % with ended threads and children")
    print(f"wake-ups    {woken / took:.1f} a second")
finally:
    agent.terminate(); agent.wait()
PY
