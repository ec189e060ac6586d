"""A name server: zones are dicts, and answers may change from one question to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

MOST_UDP = 512  # bytes
LONGEST_CHAIN = 10
TTL = 1


class Turns:
    """Answers that change: the first question gets the first, and all after the last one get that."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)

    def next(self) -> Sequence[str]:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


Zone = dict[str, dict[str, Sequence[str] | Turns]]
"""By name (no dot at the end) and kind: the records. A name with a `CNAME` has nothing else; `*.corp.example` is what
all have below corp.example that are not there themselves, nor below one that is."""


@dataclass
class NameServer:
    """Knows all names there are. Answers over UDP and, what is too large for that, over TCP."""

    zone: Zone
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Every question, as name and kind."""
    silent: set[str] = field(default_factory=set)
    """Names of which it says nothing at all."""

    async def start(self, host: str, at: int = 0) -> tuple[str, int]:
        """Listen, at this port or any; answers with where. Several tries: UDP and TCP have to be free at one port."""
        loop = asyncio.get_running_loop()
        for _ in range(20):
            self._tcp = await asyncio.start_server(self._over_tcp, host, at)
            port = self._tcp.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), (host, port))
            except OSError:
                self._tcp.close()
            else:
                return host, port
        raise OSError("no port is free for UDP and TCP")

    async def stop(self) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    def answer(self, wire: bytes, most: int) -> bytes | None:
        question = dns.message.from_wire(wire)
        name, kind = question.question[0].name, question.question[0].rdtype
        self.asked.append((_text(name), dns.rdatatype.to_text(kind)))
        if _text(name) in self.silent:
            return None
        reply = dns.message.make_response(question)
        reply.flags |= dns.flags.RA
        self._fill(reply, _text(name), kind)
        packed = reply.to_wire()
        if len(packed) > most:
            reply.answer, reply.flags = [], reply.flags | dns.flags.TC
            packed = reply.to_wire()
        return packed

    def _fill(self, reply: dns.message.Message, name: str, kind: dns.rdatatype.RdataType) -> None:
        for _ in range(LONGEST_CHAIN):
            known = self._known(name)
            if known is None:
                reply.set_rcode(dns.rcode.NXDOMAIN)
                return
            if "CNAME" not in known:
                self._add(reply, name, kind, known.get(dns.rdatatype.to_text(kind), ()))
                return
            (following,) = self._add(reply, name, dns.rdatatype.CNAME, known["CNAME"])
            name = following.removesuffix(".")

    def _known(self, name: str) -> dict[str, Sequence[str] | Turns] | None:
        if name in self.zone or not any(one.startswith("*.") for one in self.zone):
            return self.zone.get(name)
        parent = name.partition(".")[2]
        while parent and not self._is_there(parent):
            parent = parent.partition(".")[2]
        return self.zone.get(f"*.{parent}")

    def _is_there(self, name: str) -> bool:
        return any(one == name or one.endswith(f".{name}") for one in self.zone)

    @staticmethod
    def _add(
        reply: dns.message.Message, name: str, kind: dns.rdatatype.RdataType, known: Sequence[str] | Turns
    ) -> Sequence[str]:
        values = known.next() if isinstance(known, Turns) else known
        if values:
            reply.answer.append(dns.rrset.from_text(f"{name}.", TTL, "IN", dns.rdatatype.to_text(kind), *values))
        return values

    async def _over_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            length = int.from_bytes(await reader.readexactly(2), "big")
            packed = self.answer(await reader.readexactly(length), 65535)
            if packed is not None:
                writer.write(len(packed).to_bytes(2, "big") + packed)
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        packed = self._server.answer(data, MOST_UDP)
        if packed is not None:
            self._transport.sendto(packed, addr)
