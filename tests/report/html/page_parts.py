"""What stands on a page."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path


def verdict_of(page: str) -> tuple[str, str]:
    """The verdict and its tone."""
    found = re.search('<h1 id="verdict" class="([^"]*)">(.*?)</h1>', page)
    assert found is not None
    return unescape(found[2]), found[1]


def tables_of(page: str) -> dict[str, list[list[str]]]:
    """Cells of every table by its caption, the header first."""
    found, shown = {}, re.sub("<script.*?</script>", "", page, flags=re.DOTALL)
    for table in re.findall("<table.*?</table>", shown, flags=re.DOTALL):
        caption = re.search("<caption>(.*?)</caption>", table, flags=re.DOTALL)
        assert caption is not None
        rows = re.findall("<tr.*?</tr>", table, flags=re.DOTALL)
        found[unescape(caption[1]).strip()] = [
            [unescape(re.sub("<.*?>", "", cell, flags=re.DOTALL)).strip()
             for cell in re.findall("<t[hd][ >].*?</t[hd]>", row, flags=re.DOTALL)] for row in rows]
    return found


def table_of(page: str, caption: str) -> list[list[str]]:
    """Cells of the one table whose caption begins so."""
    (table,) = [rows for whole, rows in tables_of(page).items() if whole.startswith(caption)]
    return table


def links_of(page: str) -> list[str]:
    return [unescape(link) for link in re.findall('<a href="([^"]*)"', page)]


def text_of(path: Path) -> str:
    return path.read_text("utf-8")
