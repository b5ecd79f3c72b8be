"""Links between the pages lead somewhere, on GitHub; `mkdocs build --strict` checks those of the site."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from pages import PAGES, REPOSITORY, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere."""
    wrong = []
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A heading\n[a](#a-heading) [b](#b) [c](page.md#a-heading) [d](other.md)\n```\n[e](e.md)\n```\n")
    assert broken(page) == ["#b", "other.md", "e.md"]
    page.write_text("[b](https://example.org) [here](page.md)")
    assert broken(page) == []


def test_every_picture_is_shown_and_small() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in (REPOSITORY / "docs" / "images").glob("*.png"):
        assert f"images/{picture.name}" in text, f"{picture.name} is on no page"
        assert picture.stat().st_size < 150_000


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"[\w/]+\.md", json.dumps(yaml.safe_load(_without_tags())["nav"]))
    pages = {str(page.relative_to(REPOSITORY / "docs")) for page in PAGES if "docs" in page.parts}
    assert len(listed) == len(set(listed))
    assert set(listed) == pages | {"notebooks/tour_page.md"}


def _without_tags() -> str:
    return (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8").replace("!!python/name:", "")
