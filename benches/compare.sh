#!/usr/bin/env bash
# Times the whole program against bare loops, cp, ripgrep and, where they are installed, peers, all in
# one run, and prints CPU seconds, wall seconds and peak memory of each. Quote ratios, not seconds:
# machines are noisy.
#
#   benches/compare.sh [MEGABYTES] [RUNS]      default: 500 MB, the best of 3 runs
#
# DRIFTLESS and BARE name binaries that are built already.
set -euo pipefail
cd "$(dirname "$0")/.."
megabytes=${1:-500} runs=${2:-3}
work=$(mktemp -d "${TMPDIR:-/tmp}/driftless-compare.XXXXXX")
trap 'rm -rf "$work"' EXIT

driftless=${DRIFTLESS:-$PWD/target/release/driftless} bare=${BARE:-}
[ -n "${DRIFTLESS:-}" ] || cargo build --release --quiet
# In the release profile too, which saves a second build of the library.
[ -n "$bare" ] || bare=$(cargo build --release --bench bare --message-format json --quiet |
  python3 -c 'import json,sys
for line in sys.stdin:
    it = json.loads(line)
    if it.get("executable") and it["target"]["name"] == "bare": print(it["executable"])')
"$bare" generate mixed "$megabytes" "$work/mixed.log"
"$bare" generate json "$megabytes" "$work/access.json"
"$bare" generate combined "$megabytes" "$work/access.log"

# Prints "cpu wall peak_kib" of the run with the least CPU time.
measure() {
  for _ in $(seq "$runs"); do
    rm -rf "$work/out" "$work/data"
    python3 - "$@" <<'PY'
import os, resource, subprocess, sys, time
began = time.monotonic()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
wall = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
if code not in (0, 1): sys.exit(f"{sys.argv[1]}: exit code {code}")
print(f"{used.ru_utime + used.ru_stime:.3f} {wall:.3f} {used.ru_maxrss}")
PY
  done | sort -n | head -n 1
}

config() {
  mkdir -p "$work/$1"
  cat >"$work/$1/topology.yml"
  printf 'data_dir: %s\n' "$work/data" >"$work/$1/agent.yml"
}
config copy <<YML
sources: {in: {type: file, include: [$work/mixed.log]}}
sinks: {out: {type: file, path: $work/out, sync: never, inputs: [in]}}
YML
config filter <<YML
sources: {in: {type: file, include: [$work/mixed.log]}}
transforms: {errors: {type: filter, keep: "message is search('(?i)error')", inputs: [in]}}
sinks: {out: {type: file, path: $work/out, sync: never, inputs: [errors]}}
YML
config json <<YML
sources: {in: {type: file, include: [$work/access.json]}}
transforms:
  parsed: {type: parse, format: json, inputs: [in]}
  failed: {type: filter, keep: status >= 500, inputs: [parsed]}
sinks: {out: {type: file, path: $work/out, sync: never, inputs: [failed]}}
YML
config fields <<YML
sources: {in: {type: file, include: [$work/access.json]}}
transforms:
  parsed: {type: parse, format: json, inputs: [in]}
  tagged: {type: set, fields: {env: prod, team: web}, inputs: [parsed]}
sinks: {out: {type: file, path: $work/out, sync: never, inputs: [tagged]}}
YML
config access <<YML
sources: {in: {type: file, include: [$work/access.log]}}
transforms: {parsed: {type: parse, format: nginx_combined, inputs: [in]}}
sinks: {out: {type: file, path: $work/out, encoding: ndjson, sync: never, inputs: [parsed]}}
YML
for algorithm in gzip zstd; do
  config s3-$algorithm <<YML
sources: {in: {type: file, include: [$work/mixed.log]}}
sinks:
  out:
    {type: s3, bucket: logs, prefix: all/, endpoint: "http://127.0.0.1:${S3_PORT:-19109}", encoding: text,
     auth: {access_key: shipper, secret_key: hunter2-hunter2}, compression: $algorithm, inputs: [in]}
YML
  config $algorithm <<YML
sources: {in: {type: file, include: [$work/mixed.log]}}
sinks: {out: {type: file, path: $work/out, compression: $algorithm, sync: never, inputs: [in]}}
YML
done

row() { # job, tool, command...
  local job=$1 tool=$2; shift 2
  local figures; figures=$(measure "$@")
  read -r cpu wall peak <<<"$figures"
  [ "$tool" = "bare loop" ] && limit=$cpu
  awk -v j="$job" -v t="$tool" -v c="$cpu" -v w="$wall" -v p="$peak" -v l="$limit" \
    'BEGIN { printf "%-8s %-12s %7.3f %7.3f %8.1f %7.2f\n", j, t, c, w, p / 1024, c / l }'
}
# Whether driftless wrote what the bare loop did.
check() { [ "$(md5sum <"$work/out")" = "$same" ] || echo "$1: driftless wrote something else"; }
has() { command -v "$1" >/dev/null; }

printf '%-8s %-12s %7s %7s %8s %7s\n' job tool cpu_s wall_s peak_MiB x_bare
row copy 'bare loop' "$bare" copy "$work/mixed.log" "$work/out"
row copy driftless "$driftless" agent --once --config "$work/copy"
same=$(md5sum <"$work/mixed.log")
check copy
row copy cp cp "$work/mixed.log" "$work/out"
row filter 'bare loop' "$bare" filter "$work/mixed.log" "$work/out"
same=$(md5sum <"$work/out")
row filter driftless "$driftless" agent --once --config "$work/filter"
check filter
if has rg; then row filter ripgrep rg -i error "$work/mixed.log"; fi
row json 'bare loop' "$bare" json "$work/access.json" "$work/out"
same=$(md5sum <"$work/out")
row json driftless "$driftless" agent --once --config "$work/json"
check json
row fields 'bare loop' "$bare" fields "$work/access.json" "$work/out"
same=$(md5sum <"$work/out")
row fields driftless "$driftless" agent --once --config "$work/fields"
check fields
row access 'bare loop' "$bare" access "$work/access.log" "$work/out"
row access driftless "$driftless" agent --once --config "$work/access"
[ "$(wc -l <"$work/out")" = "$(wc -l <"$work/access.log")" ] ||
  echo "access: driftless wrote another number of records"
for algorithm in gzip zstd; do
  row $algorithm 'bare loop' "$bare" $algorithm "$work/mixed.log" "$work/out"
  row $algorithm driftless "$driftless" agent --once --config "$work/$algorithm"
  [ "$($algorithm -dc <"$work/out" | md5sum)" = "$(md5sum <"$work/mixed.log")" ] ||
    echo "$algorithm: what driftless wrote does not unpack to what it read"
  # To a bucket, where the server of the tests is there (`.ci/servers`); the bare loop writes a file.
  if [ -x target/servers/rclone/rclone ]; then
    mkdir -p "$work/s3/logs"
    target/servers/rclone/rclone serve s3 --config /dev/null --addr 127.0.0.1:${S3_PORT:-19109} \
      --auth-key shipper,hunter2-hunter2 --cache-dir "$work/s3.cache" "$work/s3" 2>/dev/null &
    server=$!
    until (exec 3<>/dev/tcp/127.0.0.1/${S3_PORT:-19109}) 2>/dev/null; do sleep 0.1; done
    row s3-$algorithm driftless "$driftless" agent --once --config "$work/s3-$algorithm"
    kill $server
    wait $server 2>/dev/null || true
    rm -rf "$work/s3"
  fi
done
if has fluent-bit; then
  row copy fluent-bit fluent-bit -q -i tail -p "path=$work/mixed.log" -p read_from_head=on \
    -p exit_on_eof=on -o file -p "path=$work" -p file=out -p format=plain
fi
if has vector; then
  printf 'data_dir: %s\nsources: {in: {type: stdin}}\nsinks: {out: {type: file, inputs: [in], path: %s, encoding: {codec: text}}}\n' \
    "$work" "$work/out" >"$work/vector.yml"
  row copy vector sh -c "exec vector -q -c '$work/vector.yml' <'$work/mixed.log'"
fi
