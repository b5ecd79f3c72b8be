"""The Markdown pages of the repository, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *(REPOSITORY / "docs").rglob("*.md")])
BLOCK = re.compile(r"^ *```(\w+)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SHELL = ("sh", "bash", "console")


@dataclass(frozen=True)
class Command:
    """One line of a shell block, or inline code that is a command."""

    page: Path
    text: str

    @property
    def label(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}: {self.text}"


def blocks(page: Path, *languages: str) -> list[str]:
    return [body for language, body in BLOCK.findall(page.read_text(encoding="utf-8")) if language in languages]


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def shell_lines(page: Path) -> list[str]:
    """Lines of the shell blocks, continued ones joined, without comments and without what a console answers."""
    lines = []
    for language, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language in SHELL:
            joined = body.replace("\\\n", " ").splitlines()
            typed = [line[2:] for line in joined if line.startswith("$ ")] if language == "console" else joined
            lines += [re.sub(r"\s+#.*", "", line).strip() for line in typed if not line.startswith("#")]
    return [re.sub(r"\s+", " ", line) for line in lines if line]


def inline_commands(page: Path) -> list[str]:
    """Inline code that begins with `agfrun` and is a whole command: no placeholder such as DIR, dots or bare name."""
    found = [re.sub(r"\s+", " ", text) for text in re.findall(r"`(agfrun [^`]+)`", prose(page))]
    bare = r"^agfrun (plot|report|resume|rerun|collect)$"
    return [text for text in found if not re.search(rf"\.\.\.|\b[A-Z]{{2,}}|{bare}", text)]


def commands() -> list[Command]:
    """Every different command of all pages, where it is first found."""
    found: dict[str, Command] = {}
    for page in PAGES:
        for text in [*shell_lines(page), *inline_commands(page)]:
            found.setdefault(text, Command(page, text))
    return list(found.values())
