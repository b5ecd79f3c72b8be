"""Tables of docs/agreement.md from the rows that benchmarks/agreement.py wrote.

    python benchmarks/summarize_agreement.py modadd.csv [more.csv ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a scale and variant: order, levels, and times of first, later and all activations.

    A time error is |predicted / measured - 1|, of activations matched by neuron; `matched` is the share of
    predicted activations that the same neuron makes in training too.
    """
    return pd.DataFrame([
        {"scale": scale, "variant": variant, **_numbers(group)}
        for (scale, variant), group in rows.groupby(["scale", "variant"], sort=False)
    ])


def _numbers(group: pd.DataFrame) -> dict[str, object]:
    acquired, activated = (group[group["kind"] == kind] for kind in ("acquisition", "activation"))
    runs = group["seed"].nunique()
    in_order = acquired.groupby("seed")["order_matches"].apply(lambda flags: (flags == True).all())  # noqa: E712
    same = activated[activated["neuron_agf"] == activated["neuron_training"]]
    error = (same["time_ratio"] - 1).abs()
    first = activated.groupby("seed").head(1)
    kept = acquired[acquired["level_agf"] > 1e-2]  # the last level is zero: nothing to be relative to
    return {
        "runs": runs,
        "order": f"{int(in_order.sum())}/{runs}",
        "worst_level_error": kept["level_error"].max(),
        "first_time_error": (first["time_ratio"] - 1).abs().max(),
        "activations": len(activated),
        "matched": len(same) / max(len(activated), 1),
        "median_time_error": error.median(),
        "90%_time_error": error.quantile(0.9),
        "acquisition_time_error": (acquired["time_ratio"] - 1).abs().median(),
        "prediction_seconds": group.groupby("seed")["prediction_seconds"].first().median(),
        "training_seconds": group.groupby("seed")["training_seconds"].first().median(),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    rows = pd.concat([pd.read_csv(path) for path in parser.parse_args().files])
    print(summary(rows).to_string(index=False, float_format=lambda value: f"{value:.4g}"))


if __name__ == "__main__":
    main()
