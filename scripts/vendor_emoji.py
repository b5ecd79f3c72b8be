"""Rebuild the texts of `data=emoji` from emojibase-data: npm pack emojibase-data@17.0.0, then

    python scripts/vendor_emoji.py emojibase-data-17.0.0.tgz

One compressed file a language, a line for each emoji: its name and keywords. `items.txt.xz` has code and group of each.
Components (group 2) and flags (group 9) are left out.
"""  # noqa: D205, D400, D415

from __future__ import annotations

import json
import lzma
import sys
import tarfile
from typing import Any

from agfrun.labs.stitching.datasets.emoji import FOLDER, LANGUAGES

LEFT_OUT = (None, 2, 9)


def main(archive: str) -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    with tarfile.open(archive) as package:
        kept = [record for record in records(package, "en") if record.get("group") not in LEFT_OUT]
        write("items", [f"{record['hexcode']} {record['group']}" for record in kept])
        for language in LANGUAGES:
            known = {record["hexcode"]: record for record in records(package, language)}
            write(language, [" ; ".join([one["label"], *one.get("tags", [])]) for one in
                             (known[record["hexcode"]] for record in kept)])
        licence = package.extractfile("package/LICENSE")
        assert licence is not None
        (FOLDER / "LICENSE").write_bytes(licence.read())


def records(package: tarfile.TarFile, language: str) -> list[dict[str, Any]]:
    """All records of a language, in the order of its file."""
    file = package.extractfile(f"package/{language}/data.json")
    assert file is not None
    return list(json.load(file))


def write(name: str, lines: list[str]) -> None:
    """Write lines, compressed."""
    content = "\n".join(lines).encode()
    (FOLDER / f"{name}.txt.xz").write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main(sys.argv[1])
