from __future__ import annotations

import sys
from pathlib import Path

# The benchmarks are beside the package, not in it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
