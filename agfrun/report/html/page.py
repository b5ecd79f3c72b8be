"""From parts to the text of a page: templates, the embedded script and data, and what the page is allowed to do.

Everything that comes from a run is untrusted: the templates escape it, and data for the script are JSON that
cannot end its element. The page's policy lets only the scripts run that are written here, by their hashes, and
lets nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from agfrun.report.html.chart import Chart
from agfrun.version import __version__

_FILES = resources.files(__package__)
# As escapes within a JSON string these are the same characters, but end no element and no line of a script.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render_page(template: str, charts: Sequence[Chart], **parts: Any) -> str:
    """The text of a page.

    Args:
        template: name of a template beside this file.
        charts: every chart of the page; without any the script is left out.
        parts: what else the template shows, as plain values.
    """
    scripts = [_read("vendor/vega_embed.min.js"), _read("page.js")] if charts else []
    data = script_json([chart.data for chart in charts])
    return _environment().get_template(template).render(
        **parts, charts=charts, version=__version__, style=Markup(_read("page.css")),
        scripts=[Markup(script) for script in scripts], policy=_policy(tuple(scripts)), data=Markup(data))


def script_json(value: Any) -> str:
    """JSON that can stand inside a script element of an HTML page.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FunctionLoader(lambda name: _read(f"templates/{name}"))
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)


@cache
def _read(name: str) -> str:
    return _FILES.joinpath(name).read_text(encoding="utf-8")


@cache
def _policy(scripts: tuple[str, ...]) -> str:
    """Content security policy: these scripts, styles and pictures within the page, and no network."""
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts) or "'none'"
    return (f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
            "form-action 'none'")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
