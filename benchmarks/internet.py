"""A small internet in a process of its own, until nobody listens to it: `python -m benchmarks.internet NAMES`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.server import ROOT
from tests.internet.net import ANY, Internet
from tests.internet.sites import page

DOMAIN = "corp.example"
ADDRESSES = tuple(f"127.1.0.{n}" for n in range(1, 101))
BODY = b"<html><head><title>one of many</title></head><body>" + b"<p>words</p>" * 800 + b"</body></html>"


@dataclass(frozen=True, slots=True)
class Where:
    """Where its name server listens, and at which port its sites."""

    name_server: tuple[str, int]
    port: int


def name_of(number: int) -> str:
    return f"n{number}.{DOMAIN}"


async def play(names: int) -> None:
    zone = {name_of(n): {"A": [ADDRESSES[n % len(ADDRESSES)]]} for n in range(names)}
    async with Internet(zone, {ANY: page(BODY, Content_Type="text/html")}, ADDRESSES) as net:
        print(json.dumps([net.name_server, net.port]), flush=True)
        await asyncio.to_thread(sys.stdin.read)


@contextmanager
def internet(names: int) -> Iterator[Where]:
    """With so many names, each of which is a site, too."""
    command = [sys.executable, "-m", "benchmarks.internet", str(names)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        (host, port), sites = json.loads(process.stdout.readline())
        yield Where((host, port), sites)
        process.communicate()


if __name__ == "__main__":
    asyncio.run(play(int(sys.argv[1])))
