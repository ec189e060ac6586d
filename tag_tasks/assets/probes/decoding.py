"""The text of a page, by the charset that its header or its own beginning names, as browsers read it.

Only charsets of texts are known here: Python has others, which decode slowly, or into something that is none.
"""

from __future__ import annotations

import codecs
import re

from tag_tasks.assets.guard.pages import Page

BEGINNING = 4096  # bytes in which a page names its charset
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
NAMED = re.compile(rb"charset\s{0,20}=\s{0,20}[\"']?\s{0,20}([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
META = re.compile(
    rb"<(?:meta\b|\?xml\b)[^>]{0,1000}?(?:charset|encoding)\s{0,20}=\s{0,20}[\"']?\s{0,20}([\w:.-]{1,40})", re.I
)
USUAL = "windows-1252"
"""Of a page that names no charset and is no UTF-8."""

CODECS = {
    "gb18030": "gb18030 gbk gb2312 gb_2312-80 x-gbk csgb2312 euc-cn cp936",
    "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5",
    "cp932": "shift_jis shift-jis sjis x-sjis ms932 windows-31j",
    "euc_jp": "euc-jp x-euc-jp",
    "iso2022_jp": "iso-2022-jp",
    "cp949": "euc-kr ks_c_5601-1987 ksc5601 ks_c_5601 windows-949",
    "cp1252": "iso-8859-1 iso8859-1 latin1 l1 ascii us-ascii windows-1252 cp1252 x-cp1252",
    "cp1254": "iso-8859-9 latin5 windows-1254 cp1254",
    "cp874": "tis-620 iso-8859-11 windows-874",
    "koi8_r": "koi8-r koi8",
    "koi8_u": "koi8-u",
    "cp866": "ibm866 cp866",
    "utf-8": "utf-8 utf8",
    "utf-16-le": "utf-16 utf-16le",
    "utf-16-be": "utf-16be",
}
KNOWN = {label: codec for codec, labels in CODECS.items() for label in labels.split()}
KNOWN |= {f"iso-8859-{n}": f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)}
KNOWN |= {f"{prefix}125{n}": f"cp125{n}" for n in (0, 1, 3, 5, 6, 7, 8) for prefix in ("windows-", "cp")}


def text_of(page: Page) -> str:
    """The body as text, whatever it is: what cannot be decoded is replaced."""
    for mark, codec in MARKS:
        if page.body.startswith(mark):
            return page.body[len(mark) :].decode(codec, "replace")
    codec_named = _by_header(page) or _by_itself(page.body[:BEGINNING])
    if codec_named is not None:
        return page.body.decode(codec_named, "replace")
    try:
        return page.body.decode("utf-8")
    except UnicodeDecodeError as error:
        cut_there = page.cut and error.start >= len(page.body) - 4  # in the middle of a character
        return page.body.decode("utf-8" if cut_there else USUAL, "replace")


def _by_header(page: Page) -> str | None:
    kind = page.header("Content-Type") or ""
    return _codec(NAMED.search(kind[:1000].encode("ascii", "replace")))


def _by_itself(beginning: bytes) -> str | None:
    codec = _codec(META.search(beginning))
    return "utf-8" if codec is not None and codec.startswith("utf-16") else codec  # else it could not be read


def _codec(found: re.Match[bytes] | None) -> str | None:
    return None if found is None else KNOWN.get(found[1].decode("ascii", "replace").lower())
