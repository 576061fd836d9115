#!/usr/bin/env bash
# Times an apply that has nothing to do against cf-agent and ansible-playbook, where they are
# installed, on the same files in one run, and prints CPU seconds, wall seconds and peak memory of
# the run with the least CPU time of each. Quote ratios, not seconds: machines are noisy.
#
#   benches/compare-apply.sh [RUNS] [FILES]...      default: 5 runs, of 100 and of 1000 files
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-5}
shift || true
[ $# -gt 0 ] || set -- 100 1000
driftless=${DRIFTLESS:-$PWD/target/release/driftless}
[ -x "$driftless" ] || cargo build --release --quiet
work=$(mktemp -d "${TMPDIR:-/tmp}/driftless-compare.XXXXXX")
trap 'rm -rf "$work"' EXIT

# A file that is as declared has content, with a variable in it, and permissions.
declare_files() {
  python3 - "$work" "$1" <<'PY'
import os, sys
work, files = sys.argv[1], int(sys.argv[2])
config, out = f"{work}/config", f"{work}/out"
os.makedirs(config, exist_ok=True)
os.makedirs(out, exist_ok=True)
open(f"{config}/agent.yml", "w").write(f"data_dir: {work}/data\n")
tasks = [f"""  - name: settings {n}
    copy:
      dest: {out}/file-{n}.conf
      content: |
        number = {n}
        port = {{{{ port }}}}
      mode: "0644"
""" for n in range(files)]
open(f"{config}/apply.yml", "w").write("vars: {port: 8080}\ntasks:\n" + "".join(tasks))
play = "- hosts: localhost\n  connection: local\n  gather_facts: false\n  vars: {port: 8080}\n  tasks:\n"
open(f"{work}/play.yml", "w").write(play + "".join(
    "".join(f"  {line}\n" for line in task.splitlines()) for task in tasks))
promises = [f"""    "{out}/file-{n}.conf"
      create => "true", perms => m("0644"),
      content => "number = {n}$(const.n)port = $(port)$(const.n)";
""" for n in range(files)]
open(f"{work}/promises.cf", "w").write("""body common control { bundlesequence => { "main" }; }
body perms m(mode) { mode => "$(mode)"; }
bundle agent main
{
  vars:
    "port" string => "8080";
  files:
""" + "".join(promises) + "}\n")
os.chmod(f"{work}/promises.cf", 0o600)
PY
}

# Prints "cpu wall peak_kib" of the run with the least CPU time.
measure() {
  for _ in $(seq "$runs"); do
    python3 - "$@" <<'PY'
import resource, subprocess, sys, time
began = time.monotonic()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
wall = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
if code: sys.exit(f"{sys.argv[1]}: exit code {code}")
print(f"{used.ru_utime + used.ru_stime:.3f} {wall:.3f} {used.ru_maxrss}")
PY
  done | sort -n | head -n 1
}
row() { # files, tool, command...
  local files=$1 tool=$2; shift 2
  local figures; figures=$(measure "$@")
  read -r cpu wall peak <<<"$figures"
  awk -v n="$files" -v t="$tool" -v c="$cpu" -v w="$wall" -v p="$peak" \
    'BEGIN { printf "%6d %-12s %7.3f %7.3f %8.1f\n", n, t, c, w, p / 1024 }'
}
has() { command -v "$1" >/dev/null; }

printf '%6s %-12s %7s %7s %8s\n' files tool cpu_s wall_s peak_MiB
for files in "$@"; do
  rm -rf "$work/out"
  declare_files "$files"
  "$driftless" apply "$work/config" --yes >/dev/null
  row "$files" driftless "$driftless" apply "$work/config" --yes
  if has cf-agent; then
    row "$files" cf-agent cf-agent --no-lock --file "$work/promises.cf"
  fi
  # A third of a second a task: enough for one run of a few.
  if has ansible-playbook && [ "$files" -le 100 ]; then
    runs=1 row "$files" ansible ansible-playbook --inventory localhost, "$work/play.yml"
  fi
  # Nobody else has found anything to do either.
  "$driftless" apply "$work/config" --dry-run >/dev/null || echo "the tools do not agree"
done
