"""Tables of docs/agreement.md from the rows that benchmarks/agreement.py wrote.

Usage: python benchmarks/summarize_agreement.py modadd.csv [more.csv ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a scale and variant.

    `order`: runs whose features come in the predicted order. `level`: worst relative error of the plateaus
    between features, prediction against training. `training_level`: the same, training against the closed
    form. `first`: worst error of the first activation's time. `feature`: median and worst error of the
    features' times. `within`: share of predicted activations that the same neuron makes in training within
    1%, 5% of the predicted time; `median` over those that it makes at all.
    """
    return pd.DataFrame([
        {"scale": scale, "variant": variant, **_numbers(group)}
        for (scale, variant), group in rows.groupby(["scale", "variant"], sort=False)
    ])


def _numbers(group: pd.DataFrame) -> dict[str, object]:
    acquired, activated = (group[group["kind"] == kind] for kind in ("acquisition", "activation"))
    runs = group["seed"].nunique()
    in_order = acquired.groupby("seed")["order_matches"].apply(lambda flags: (flags == True).all())  # noqa: E712
    same = activated[activated["neuron_predicted"] == activated["neuron_training"]]
    error = (same["time_ratio"] - 1).abs()
    first = activated.groupby("seed").head(1)
    kept = acquired[acquired["level_predicted"] > 1e-2]  # closed forms are relative to the level: not to zero
    feature_error = (acquired["time_ratio"] - 1).abs()
    return {
        "order": f"{int(in_order.sum())}/{runs}",
        "level": kept["level_error"].max(),
        "training_level": (kept["level_training"] / kept["level_theory"] - 1).abs().max(),
        "first": (first["time_ratio"] - 1).abs().max(),
        "feature_median": feature_error.median(),
        "feature_worst": feature_error.max(),
        "activations": len(activated),
        "within_1%": (error < 0.01).sum() / max(len(activated), 1),
        "within_5%": (error < 0.05).sum() / max(len(activated), 1),
        "median": error.median(),
        "prediction_s": group.groupby("seed")["prediction_seconds"].first().median(),
        "training_s": group.groupby("seed")["training_seconds"].first().median(),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    rows = pd.concat([pd.read_csv(path) for path in parser.parse_args().files])
    print(summary(rows).to_string(index=False, float_format=lambda value: f"{value:.4g}"))


if __name__ == "__main__":
    main()
