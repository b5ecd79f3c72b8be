from __future__ import annotations

import importlib.util
import re
from importlib import resources
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
VENDOR = resources.files("agfrun.report.html") / "vendor"


def test_the_bundle_is_what_its_script_makes() -> None:
    vl_convert = pytest.importorskip("vl_convert")
    saved = (VENDOR / "vega_embed.min.js").read_text(encoding="utf-8")
    version = re.match(r"/\*! vl-convert-python (\S+):", saved)
    assert version is not None
    if vl_convert.__version__ != version[1]:
        pytest.skip(f"made with vl-convert-python {version[1]}, here is {vl_convert.__version__}")
    location = importlib.util.spec_from_file_location("vendor_vega", REPOSITORY / "scripts" / "vendor_vega.py")
    assert location is not None
    assert location.loader is not None
    script = importlib.util.module_from_spec(location)
    location.loader.exec_module(script)
    assert script.bundle() == saved


def test_the_bundle_comes_with_its_licences() -> None:
    licences = (VENDOR / "LICENSES.txt").read_text(encoding="utf-8")
    for owner in ("University of Washington Interactive Data Lab", "Mike Bostock", "Mapbox", "Joachim Wester"):
        assert owner in licences
    assert "vega-embed" in (VENDOR / "VENDORED.md").read_text(encoding="utf-8")
