"""Print the licence of every installed distribution, the ones that others bring along included, as docs/licences.md.

Run it with all extras installed: `python scripts/licences.py > docs/licences.md`. It prints what the packages say in
their own metadata; it reads no licence text and judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions

# Not dependencies: agfrun itself, and what an environment comes with.
LEFT_OUT = {"agfrun", "pip", "setuptools", "wheel"}
NOT_SAID = "not said"
LONGEST = 80  # some packages put the whole text where the name of the licence belongs
HEAD = """# Licences

What the packages say of themselves in their metadata, in the versions of `constraints.txt`: the direct dependencies and
extras of agfrun, and all that these bring along. This page is written by a script, in an environment with all extras:

```sh
python scripts/licences.py > docs/licences.md
```

"""


@dataclass(frozen=True)
class Licence:
    """What one installed distribution says about its licence."""

    name: str
    version: str
    licence: str


def said(distribution: Distribution) -> str:
    """The licence as the metadata give it: as an expression, else as a short text, else by classifiers."""
    metadata = distribution.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    text = str(metadata.get("License") or "").strip()
    if text and text.upper() != "UNKNOWN" and "\n" not in text and len(text) <= LONGEST:
        return text
    classifiers = metadata.get_all("Classifier") or []
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    return ", ".join(named) or NOT_SAID


def installed() -> list[Licence]:
    """Every distribution of this environment once, by name; local parts of versions (+cpu) are left out."""
    found = {_normal(name): Licence(name, distribution.version.partition("+")[0], said(distribution))
             for distribution in distributions() if (name := distribution.metadata["Name"])}
    return [found[name] for name in sorted(found) if name not in LEFT_OUT]


def page(licences: list[Licence]) -> Iterator[str]:
    """The lines of docs/licences.md."""
    yield HEAD + "| distribution | version | licence |\n|---|---|---|"
    for one in licences:
        yield f"| {one.name} | {one.version} | {one.licence.replace('|', '/')} |"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    print("\n".join(page(installed())))
