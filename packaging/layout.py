#!/usr/bin/env python3
"""Writes packaging/layout.ld, which has the linker put together what is used together.

    packaging/layout.py                 builds the program with its symbols, and goes by that
    packaging/layout.py PROGRAM MAP     goes by one that is built already, and its linker's map

The kernel maps 64 KiB around each page of the program that is touched, so that functions that lie far from each
other make an agent that does next to nothing hold most of its file in memory. Here the program does what it
mostly does, under callgrind (Debian's valgrind), and what ran goes to the front, the most frequent work first: the
rounds of an agent that has nothing to do, then scrapes, logs, runs of tasks, and the start and the end.

A function's name holds hashes of the crates that it is of, which go with their versions and the compiler's; they stay
out. What a later build names otherwise stays where it would be without this: nothing breaks, the program only takes
more memory. Run this before a release.

Source: the names, https://doc.rust-lang.org/rustc/symbol-mangling/v0.html
"""
import os, re, signal, shutil, socket, subprocess, sys, tempfile, time, urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# After the start an agent gives back what only that took; what comes seldom comes once a minute.
SETTLE_SECONDS, IDLE_SECONDS = 25, 130


def build():
    """The program with its symbols, and the map of its sections."""
    program = ROOT / "target/release/driftless"
    sections = program.with_name("driftless.map")
    command = ["cargo", "rustc", "--locked", "--release", "--bin", "driftless", "--", "-Cstrip=none"]
    subprocess.run([*command, f"-Clink-arg=-Wl,-Map={sections}"], cwd=ROOT, check=True)
    return program, sections


class Training:
    """Runs of the program in a scratch directory, and what ran in them."""

    def __init__(self, program, work):
        self.program, self.work = program, work
        self.env = dict(os.environ, DRIFTLESS_RUN_DIR=str(work))

    def start(self, name, *args, at_once=True):
        out = self.work / f"{name}.callgrind"
        watch = ["valgrind", "--quiet", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={out}"]
        log = open(self.work / f"{name}.log", "wb")
        at_start = f"--instr-atstart={'yes' if at_once else 'no'}"
        return out, subprocess.Popen([*watch, at_start, self.program, *args], cwd=self.work, env=self.env,
                                     stdout=log, stderr=log)

    def run(self, name, *args):
        """What ran in one run that ends by itself."""
        out, process = self.start(name, *args)
        if process.wait() != 0:
            sys.exit(f"{name} failed:\n{(self.work / f'{name}.log').read_text()}")
        return functions(out)

    def stop(self, out, process):
        process.send_signal(signal.SIGTERM)
        process.wait()
        return functions(out)

    def quick_start(self, name, port):
        config = self.work / name
        shutil.copytree(ROOT / "config-examples/quickstart", config)
        change(config / "vars.yml", "/tmp/driftless-quickstart", f"{self.work}/{name}.run")
        change(config / "facts.yml", "127.0.0.1:8000", f"127.0.0.1:{port}")
        return config

    def idle(self):
        """Rounds of an agent that has nothing to do."""
        config = self.quick_start("idle", free_port())
        out, process = self.start("idle", "agent", "--config", config, at_once=False)
        watch = ["callgrind_control", str(process.pid), "-i"]
        time.sleep(SETTLE_SECONDS)
        subprocess.run([*watch, "on"], check=True, stdout=subprocess.DEVNULL)
        for _ in range(IDLE_SECONDS // 10):
            time.sleep(10)
            # In a directory that is looked at, since what is declared lies below it.
            (self.work / "of-somebody-else").touch()
            (self.work / "of-somebody-else").unlink()
        subprocess.run([*watch, "off"], check=True, stdout=subprocess.DEVNULL)
        return self.stop(out, process)

    def scrapes(self):
        port = free_port()
        out, process = self.start("scrapes", "facts", "exporter", f"--web.listen-address=127.0.0.1:{port}")
        for _ in range(5):
            scrape(port)
        return self.stop(out, process)

    def logs(self):
        """Lines that are kept by a word, and JSON that is kept by a field."""
        ran = []
        lines = "".join(f"2026-01-01 host app[{n}]: {'error' if n % 7 else 'fine'} in the log\n" for n in range(5000))
        (self.work / "mixed.log").write_text(lines)
        lines = "".join(f'{{"status": {200 + n % 400}, "path": "/a/{n}", "bytes": {n}}}\n' for n in range(5000))
        (self.work / "access.json").write_text(lines)
        for name, log, transforms in (
            ("filter", "mixed.log", """{kept: {type: filter, keep: "message is search('(?i)error')", inputs: [in]}}"""),
            ("json", "access.json", "{parsed: {type: parse, format: json, inputs: [in]}, "
             "kept: {type: filter, keep: status >= 500, inputs: [parsed]}}"),
        ):
            config = self.work / name
            config.mkdir()
            (config / "agent.yml").write_text(f"data_dir: {self.work}/{name}.data\n")
            (config / "topology.yml").write_text(
                f"sources: {{in: {{type: file, include: [{self.work}/{log}]}}}}\ntransforms: {transforms}\n"
                f"sinks: {{out: {{type: file, path: {self.work}/{name}.out, inputs: [kept]}}}}\n")
            ran += self.run(name, "agent", "--once", "--config", config)
        return ran

    def applies(self):
        """Tasks that find everything as declared."""
        config = self.work / "apply"
        config.mkdir()
        (config / "agent.yml").write_text(f"data_dir: {self.work}/apply.data\n")
        (config / "apply.yml").write_text("vars: {port: 80}\ntasks:\n" + "".join(
            f"  - copy: {{dest: {self.work}/made-{n}, content: 'port {{{{ port }}}}', mode: '0644'}}\n"
            f"  - file: {{path: {self.work}/made-{n}, mode: '0644'}}\n" for n in range(20)))
        made = self.run("apply-first", "apply", config)
        return self.run("apply-again", "apply", config) + made

    def agent(self):
        """An agent from its start to its end, with something of everything to do."""
        port = free_port()
        config = self.quick_start("agent", port)
        out, process = self.start("agent", "agent", "--config", config)
        run = self.work / "agent.run"
        while not (run / "app.conf").exists():
            time.sleep(0.1)
        time.sleep(5)
        with open(run / "app.conf", "a") as file:
            file.write("by hand\n")
        with open(run / "app/app.log", "a") as file:
            file.write("a line\n")
        scrape(port)
        time.sleep(SETTLE_SECONDS)
        return self.stop(out, process)


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def scrape(port):
    for _ in range(600):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read()
        except OSError:
            time.sleep(0.1)
    sys.exit(f"nothing answers on port {port}")


def change(path, old, new):
    text = path.read_text()
    assert old in text, f"{path} does not name {old}"
    path.write_text(text.replace(old, new))


def functions(profile):
    """The names in a file of callgrind's, which gives each at its first place and a number from then on."""
    named = re.compile(r"^c?fn=\(\d+\) (.*?)(?:'\d+)?$", re.MULTILINE)
    return named.findall(profile.read_text(errors="replace"))


def general(name):
    """A name without what changes from build to build."""
    return re.sub(r"17h[0-9a-f]{16}E", "17h*E", re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name))


def script(ran, sections):
    """The linker script; `ran` has the functions of each lesson."""
    alike = {}
    for section in sections:
        alike.setdefault(general(section), []).append(section)
    lines = {}
    for lesson in ran:
        ran_there = {f"{start}.{function}" for function in lesson for start in (".text", ".text.unlikely")}
        names = {section: general(section) for section in ran_there & sections}
        lines.update(dict.fromkeys(sorted(name if len(alike[name]) == 1 else section for section, name in names.items())))
    return (
        "/* What the program uses most of the time, made by packaging/layout.py: change that. */\n"
        "SECTIONS {\n  .text.used : {\n" + "".join(f"    *({line})\n" for line in lines) + "  }\n}\n"
        "INSERT BEFORE .text;\n")


def main():
    program, sections = map(Path, sys.argv[1:]) if len(sys.argv) == 3 else build()
    sections = set(re.findall(r":\((\.text\.[^)]+)\)$", sections.read_text(), re.MULTILINE))
    with tempfile.TemporaryDirectory(prefix="driftless-layout.") as work:
        training = Training(program.resolve(), Path(work))
        ran = []
        for lesson in (training.idle, training.scrapes, training.logs, training.applies, training.agent):
            ran.append(set(lesson()))
            print(f"{lesson.__name__}: {len(ran[-1])} functions")
    (ROOT / "packaging/layout.ld").write_text(script(ran, sections))


main()
