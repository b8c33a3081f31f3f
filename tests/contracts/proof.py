"""What every proof by others needs: children that end with it, proxies that hold traffic against a document, planted faults."""
import asyncio
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from meter import Meter

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
PRISM = HERE / "node_modules" / ".bin" / "prism"
# Below the range from which systems take ports for outgoing connections.
PORTS = range(20_000, 31_000)
# What `liaison sandbox` takes, in a row.
SANDBOX_PORTS = 6
START_SECONDS = 60


def listed(text):
    return {part.strip() for line in text.strip().splitlines() for part in line.split("|")}


def free_ports(count):
    for _ in range(500):
        first = random.choice(PORTS)
        try:
            for port in range(first, first + count):
                with socket.socket() as taken:
                    taken.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise SystemExit(f"no {count} free ports in a row")


class Child:
    """A process of ours; it ends with this run at the latest."""

    def __init__(self, process, log):
        self.process, self.log = process, log

    @staticmethod
    async def start(command, log, talks, environment=None):
        pipe = asyncio.subprocess.PIPE
        with open(log, "wb") as file:
            out = pipe if talks else file
            process = await asyncio.create_subprocess_exec(
                *map(str, command), stdin=pipe, stdout=out, stderr=file, env=environment, cwd=PROJECT, start_new_session=True
            )
        return Child(process, log)

    async def line(self, seconds):
        line = await asyncio.wait_for(self.process.stdout.readline(), seconds)
        if not line:
            await self.process.wait()
            raise Failure(f"{self.log.stem} ended:\n{self.told()}")
        return line.decode().strip()

    def told(self):
        return self.log.read_text(errors="replace")[-8000:]

    async def end(self):
        """With all that it started itself, for which it leads a group of its own."""
        if self.process.returncode is not None:
            return
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), 30)
        except asyncio.TimeoutError:
            os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()


class Failure(Exception):
    pass


class Proof:
    """One run: what it started, what the proxies saw, what was wrong."""

    # Each of its proxies with the document of that name in the scratch folder.
    proxies = []
    # What stands in front of each.
    meter = Meter

    def __init__(self, scratch, program):
        self.scratch, self.program = scratch, program
        self.children = []
        self.meters, self.ports = {}, {}
        self.violations = []
        self.exchanges = Counter()
        self.faults_seen = 0
        self.first = free_ports(SANDBOX_PORTS + len(self.proxies))

    async def child(self, name, command, talks=True, environment=None):
        child = await Child.start(command, self.scratch / f"{name}.log", talks, environment)
        self.children.append(child)
        return child

    async def end(self):
        for child in reversed(self.children):
            await child.end()
        for meter in self.meters.values():
            await meter.stop()

    async def proxy(self, name, document, upstream):
        """Prism in front of an address, and a meter in front of Prism."""
        port = self.first + SANDBOX_PORTS + self.proxies.index(name)
        command = [PRISM, "proxy", "--errors", "-h", "127.0.0.1", "-p", port, document, upstream]
        prism = await self.child(f"prism-{name}", command, talks=False)
        await self.listening(prism)
        self.meters[name] = self.meter(document, f"http://127.0.0.1:{port}")
        self.ports[name] = await self.meters[name].start()

    async def listening(self, prism):
        end = time.monotonic() + START_SECONDS
        while "is listening" not in prism.told():
            if prism.process.returncode is not None or time.monotonic() > end:
                raise Failure(f"{prism.log.stem} does not start")
            await asyncio.sleep(0.1)

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    async def sandbox(self, name, *more, environment=None):
        """Its process, its page and its data folder."""
        data = self.scratch / name
        command = [self.program, "sandbox", "--listen", f"127.0.0.1:{self.first}", "--data", data, "--json", *more]
        sandbox = await self.child(f"sandbox-{name}", command, environment=environment)
        page = json.loads(await sandbox.line(START_SECONDS))["page"]
        return sandbox, page, data

    def take(self, part, names=None):
        """Counts what went through since the last time."""
        seen = Counter()
        for name in names or self.meters:
            operations, violations = self.meters[name].reset()
            seen.update(operations)
            self.violations += [f"{part}: {violation}" for violation in violations]
        self.exchanges[part] += sum(seen.values())
        return set(seen)

    def seen(self, name, what):
        _, violations = self.meters[name].reset()
        if not violations:
            raise Failure(f"the proof sees nothing: {what} was let through")
        self.faults_seen += 1

    async def tried(self, story):
        """Whatever comes of it, nothing outlives it; a failure shows what the children said."""
        try:
            await story()
        except BaseException:
            self.take("before it failed")
            for child in self.children:
                print(f"--- {child.log.name}\n{child.told()[-4000:]}", file=sys.stderr)
            print("\n".join(self.violations), file=sys.stderr)
            raise
        finally:
            await self.end()


def proven(what, make, contracts):
    """Runs a proof to its end and prints its line; `make` gets the scratch folder."""
    if not contracts.is_dir():
        raise SystemExit(f"{contracts} is not there: the documents lie beside the project")
    began = time.monotonic()
    # A run that is asked to end takes its processes along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="liaison-contract-") as scratch:
        run = make(Path(scratch))
        asyncio.run(run.tried(run.story))
    for violation in run.violations:
        print(violation)
    counted = ", ".join(f"{count} {part}" for part, count in run.exchanges.items())
    seconds = time.monotonic() - began
    faults = f"{run.faults_seen} planted faults seen"
    print(f"{what}, exchanges checked: {counted}; {len(run.violations)} violations; {faults} ({seconds:.0f} s)")
    sys.exit(1 if run.violations else 0)
