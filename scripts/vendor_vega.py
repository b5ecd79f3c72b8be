"""Make agfrun/report/html/vendor/vega_embed.min.js: Vega, Vega-Lite and Vega-Embed as one script without imports.

Run it with the `dev` extra installed: `python scripts/vendor_vega.py`. It needs no network, for the wheel of
vl-convert-python carries the libraries.
"""

from __future__ import annotations

from pathlib import Path

import vl_convert

VEGA_LITE = "6.4"
TARGET = Path(__file__).resolve().parent.parent / "agfrun" / "report" / "html" / "vendor" / "vega_embed.min.js"


def bundle() -> str:
    """The script: a closure that leaves `window.vegaEmbed` behind, and nothing that could end an HTML script."""
    code = vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;", vl_version=VEGA_LITE)
    for unsafe in ("</script", "<!--"):
        if unsafe in code.lower():
            raise ValueError(f"the bundle holds {unsafe}, which cannot stand in an HTML page")
    made_by = (f"vl-convert-python {vl_convert.__version__}: vega {vl_convert.get_vega_version()}, vega-lite "
               f"{VEGA_LITE}, vega-embed {vl_convert.get_vega_embed_version()}")
    return f"/*! {made_by}; licences: LICENSES.txt and VENDORED.md beside this file */\n(function(){{{code}\n}})();\n"


if __name__ == "__main__":
    TARGET.write_text(bundle(), encoding="utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
