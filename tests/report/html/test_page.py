from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agfrun import Verdict
from agfrun.report.html.chart import Chart
from agfrun.report.html.page import render_page, script_json

ATTACK = "</script><script>alert(1)</script><!-- \u2028 & \" '"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_json_cannot_end_its_element_and_reads_back(value: object) -> None:
    written = script_json(value)
    assert not re.search("[<>&\u2028\u2029]", written)
    assert json.loads(written) == value


def test_json_is_strict() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json([float("nan")])


def test_everything_shown_is_escaped() -> None:
    chart = Chart("a", ATTACK, ATTACK, {}, {"t": {"x": {"texts": [ATTACK], "codes": [0]}}})
    page = render_page("several.html", [chart], title=ATTACK, kicker=ATTACK, verdict=Verdict(ATTACK, "open"),
                       notes=[ATTACK], runs={"caption": ATTACK, "columns": [], "rows": []})
    assert "<script>alert(1)" not in page
    assert page.count("</script>") == 3  # the data, the libraries and the page's own script
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_policy_allows_the_scripts_of_the_page_alone() -> None:
    page = render_page("several.html", [Chart("a", "", "", {}, {})], title="", kicker="", verdict=Verdict("", "open"),
                       notes=[], runs={"caption": "", "columns": [], "rows": []})
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in rules["script-src"]
    allowed = set(re.findall("sha256-([^']*)'", rules["script-src"]))
    scripts = re.findall("<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 2
    assert {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts} == allowed
