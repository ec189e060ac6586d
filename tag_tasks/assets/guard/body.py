"""A page's body: unpacked as it comes, and so much of it as may be kept."""

from __future__ import annotations

import zlib
from typing import Any

ANY_GZIP = 47  # bits: gzip, or zlib with its header
RAW = -15
ENCODINGS = ("gzip", "x-gzip", "deflate")


class Body:
    """Takes pieces until it is full. What is counted are bytes after unpacking."""

    def __init__(self, encoding: str, most: int) -> None:
        """`encoding` is the header's; what is packed in another way stays as it is."""
        self.content = bytearray()
        self.cut = False
        """Whether there was more, or the rest could not be unpacked."""
        self._most = most
        self._packed = encoding.strip().lower() in ENCODINGS
        self._unpack: Any = None

    def feed(self, piece: bytes) -> bool:
        """Take a piece; answers whether more is wanted."""
        if self._packed:
            self._feed_packed(piece)
        else:
            self._keep(piece)
        return not self.cut

    def _feed_packed(self, piece: bytes) -> None:
        while piece and not self.cut:
            if self._unpack is None:
                plain = piece[0] & 0x0F == zlib.DEFLATED or piece[0] == 0x1F
                self._unpack = zlib.decompressobj(ANY_GZIP if plain else RAW)
            try:
                self._keep(self._unpack.decompress(piece, self._most + 1 - len(self.content)))
            except zlib.error:
                self.cut = True
                return
            piece = self._unpack.unused_data if self._unpack.eof else b""
            if self._unpack.eof:
                self._unpack = None  # another member may follow

    def _keep(self, plain: bytes) -> None:
        room = self._most - len(self.content)
        self.content += plain[:room]
        self.cut = self.cut or len(plain) > room
