"""The site is built without a warning, draws its formulas itself and fetches nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import REPOSITORY

pytestmark = pytest.mark.slow
# What a page loads by itself; an ordinary link (<a href>) is followed by the reader alone.
LOADED = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]+)"|<link\b[^>]*\bhref="([^"]+)\"""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the site needs pip install 'agfrun[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)], cwd=REPOSITORY,
        capture_output=True, text=True, timeout=600, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    loaded = {name for page in pages for found in LOADED.findall(page.read_text(encoding="utf-8")) for name in found}
    assert loaded
    assert not [name for name in loaded if re.match(r"(https?:)?//", name)]
    sheets = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheets)


def test_formulas_are_drawn_by_the_browser(site: Path) -> None:
    page = (site / "algorithm.html").read_text(encoding="utf-8")
    assert page.count("<math") > 15
    assert "arithmatex" not in page
    assert not re.search(r"\\(?:frac|theta|lVert)", re.sub(r"<annotation.*?</annotation>", "", page))


def test_the_tour_is_a_page_with_its_pictures(site: Path) -> None:
    page = (site / "notebooks" / "tour_page.html").read_text(encoding="utf-8")
    pictures = re.findall(r'src="(tour_\d+\.png)"', page)
    assert len(pictures) >= 5
    assert all((site / "notebooks" / picture).stat().st_size > 1000 for picture in pictures)
