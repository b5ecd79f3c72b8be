"""How well AGF agrees with gradient flow on every network: five seeds at two scales each, as one table.

    python benchmarks/architectures.py --output architectures.csv
    python benchmarks/architectures.py --networks linear_attention relu

Each row of the output is one `agfrun` run without figures; the summary that is printed has one row for each network
and scale: runs in which features come in the predicted order, the worst relative error of a plateau's level, the worst
relative error of the time of a feature, the claims that hold of those that the runs could decide, and the median wall
time of a run on one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd

from agfrun import AgfrunError, load_config, run
from agfrun.files.writing import write_csv

# Overrides, and decimal exponents of the two scales.
NETWORKS: dict[str, tuple[list[str], tuple[float, float]]] = {
    "diagonal, depth 2": (["model=diagonal_linear", "data=random_regression", "init=gaussian"], (-4, -16)),
    "diagonal, depth 3": (["experiment=diagonal_deep", "init=gaussian"], (-2, -3)),
    "fully connected linear, commuting": (["model=fully_connected_linear"], (-6, -15)),
    "fully connected linear, non-commuting": (["experiment=linear_noncommuting"], (-6, -15)),
    "linear attention": (["model=linear_attention", "agf=decoupled"], (-2, -3)),
    "ReLU on orthogonal inputs": (["model=relu"], (-2, -8)),
    "ReLU on digits, width 3": (["model=relu", "data=digits", "model.width=3"], (-6, -20)),
    "modular addition, published AGF": (["model=quadratic_modadd"], (-2, -3)),
    "modular addition, decoupled flow": (["model=quadratic_modadd", "agf=decoupled"], (-2, -3)),
}


def measure(name: str, overrides: list[str], exponent: float, seed: int) -> dict[str, object]:
    """One run: how its acquisitions compare."""
    start = time.perf_counter()
    row: dict[str, object] = {"network": name, "log10_scale": exponent, "seed": seed}
    try:
        config = load_config([*overrides, f"init.scale=1e{exponent:g}", f"seed={seed}", "plots=false"])
        result = run(config, progress=False)
    except AgfrunError as error:
        return row | {"status": str(error), "seconds": time.perf_counter() - start}
    compared = pd.DataFrame(result.main_rows)
    acquired = compared[compared["kind"] == "acquisition"] if len(compared) else compared
    times = (acquired["time_ratio"] - 1).abs() if len(acquired) else pd.Series(dtype=float)
    levels = acquired["level_error"].abs() if len(acquired) else pd.Series(dtype=float)
    return row | {
        "status": result.training.status, "events": len(acquired),
        "order_equal": bool(acquired["order_matches"].all()) if len(acquired) else None,
        "worst_time_error": times.max(), "worst_level_error": levels.max(),
        "claims": sum(claim.holds is not None for claim in result.claims),
        "claims_hold": sum(claim.holds is True for claim in result.claims),
        "failing": " ".join(sorted({claim.claim for claim in result.claims if claim.holds is False})),
        "predict_seconds": result.wall_seconds["predict"], "train_seconds": result.wall_seconds["train"],
        "seconds": time.perf_counter() - start,
    }


def summarize(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each network and scale."""
    grouped = rows.groupby(["network", "log10_scale"], sort=False)
    return pd.DataFrame({
        "order": _of(grouped["order_equal"].sum(), grouped["seed"].count()),
        "worst level error": grouped["worst_level_error"].max(),
        "worst time error": grouped["worst_time_error"].max(),
        "claims": _of(grouped["claims_hold"].sum(), grouped["claims"].sum()),
        "seconds": grouped["seconds"].median(),
    }).reset_index()


def _of(part: pd.Series, whole: pd.Series) -> pd.Series:
    return part.astype(int).astype(str) + "/" + whole.astype(int).astype(str)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), help="parts of names")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/architectures.csv"))
    chosen = parser.parse_args()
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for name, (overrides, exponents) in NETWORKS.items():
        if not any(part in name for part in chosen.networks):
            continue
        for exponent in exponents:
            for seed in chosen.seeds:
                rows.append(measure(name, overrides, exponent, seed))
                write_csv(chosen.output, pd.DataFrame(rows))
                print(rows[-1], flush=True)
    print(summarize(pd.DataFrame(rows)).to_string(index=False, float_format=lambda value: f"{value:.3g}"))


if __name__ == "__main__":
    main()
