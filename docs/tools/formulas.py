"""MkDocs hook: formulas as MathML, which browsers draw themselves, without scripts, fonts or a network."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Replace what pymdownx.arithmatex has marked as a formula."""
    content = DISPLAY.sub(lambda found: _mathml(found.group(1), "block"), content)
    return INLINE.sub(lambda found: _mathml(found.group(1), "inline"), content)


def _mathml(source: str, display: str) -> str:
    return convert(html.unescape(source).strip(), display=display)
