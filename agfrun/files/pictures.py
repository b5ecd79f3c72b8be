"""Pictures of a run's folder, for pages that embed them: what is no PNG from its first byte to its last is none."""

from __future__ import annotations

import zlib
from pathlib import Path

from agfrun.files.inside import refuse_link
from agfrun.files.reading import MOST_PICTURE, read_bytes
from agfrun.study.errors import OutputError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Length, kind and checksum of a part.
FRAME = 12


def read_png(path: Path) -> bytes:
    """A picture.

    Raises:
        OutputError: there is none, it is reached through a link, is too large, or is something else than a PNG.
    """
    refuse_link(path.parent)
    content = read_bytes(path, MOST_PICTURE)
    if not is_png(content):
        raise OutputError(f"cannot read {path}: it is no PNG")
    return content


def is_png(content: bytes) -> bool:
    """Whether bytes are a PNG and nothing else: the signature, then parts with right checksums, the last one IEND."""
    if not content.startswith(SIGNATURE):
        return False
    place, kind = len(SIGNATURE), b""
    while place + FRAME <= len(content) and kind != b"IEND":
        length = int.from_bytes(content[place:place + 4])
        kind, end = content[place + 4:place + 8], place + 8 + length
        if place == len(SIGNATURE) and kind != b"IHDR":
            return False
        if zlib.crc32(content[place + 4:end]) != int.from_bytes(content[end:end + 4]):
            return False
        place = end + 4
    return kind == b"IEND" and place == len(content)
