"""How well AGF's variants agree with gradient flow: every predicted event of every run, as a table.

    python benchmarks/agreement.py --seeds 0 1 2 3 4 --scales 1e-2 1e-3 1e-4 --output modadd.csv
    python benchmarks/agreement.py --seeds 0 --scales 1e-2 1e-8 1e-16 --variants paper experiment=diagonal_5d

One training run for each seed and scale; each variant switches off one or more of AGF's idealizations.
`benchmarks/summarize_agreement.py` makes the tables of docs/agreement.md of it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd
import torch

from agfrun import AlternationOptions, build_problem, load_config, predict, train_by_gradient_flow
from agfrun.files.writing import write_csv
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.run.comparison import compare
from agfrun.labs.staircases.run.ladder import predicted_events
from agfrun.labs.staircases.run.pipeline import HORIZON_FACTOR

VARIANTS = {
    "paper": {},
    "threshold 0.2": {"threshold": 0.2},
    "decoupled": {"cost_phase": "decoupled", "loss_tolerance": 1e-6},
    "decoupled, threshold 0.2": {"cost_phase": "decoupled", "threshold": 0.2, "loss_tolerance": 1e-6},
    "decoupled, threshold 0.05": {"cost_phase": "decoupled", "threshold": 0.05, "loss_tolerance": 1e-6},
    "decoupled, threshold 0.2, dormant interaction": {
        "cost_phase": "decoupled", "threshold": 0.2, "dormant_interaction": True, "loss_tolerance": 1e-6},
}


def agreement(overrides: list[str], seed: int, scale: float, variants: list[str]) -> list[dict[str, object]]:
    """Train once, predict with every variant; one row for each predicted event."""
    config = load_config([*overrides, f"seed={seed}", f"init.scale={scale:g}"])
    problem = build_problem(config)
    architecture, initial = problem.architecture, problem.initial
    predictions = {}
    for name in variants:
        start = time.perf_counter()
        prediction = predict(architecture, initial, AlternationOptions(**VARIANTS[name]))
        predictions[name] = (prediction, time.perf_counter() - start)
    horizon = HORIZON_FACTOR * max(prediction.last_time for prediction, _ in predictions.values())
    start = time.perf_counter()
    training = train_by_gradient_flow(architecture, initial, horizon)
    seconds = time.perf_counter() - start
    initial_loss = problem.initial_loss
    final_sizes = problem.final_sizes
    rows = []
    for name, (prediction, prediction_seconds) in predictions.items():
        threshold = VARIANTS[name].get("threshold", 1.0)
        theory = architecture.theory(initial, problem.log_scale, threshold)
        predicted = predicted_events(prediction.extended_to(horizon), final_sizes)
        measured = detect_events(training.trajectory, threshold, final_sizes)
        for row in compare(predicted, measured, theory, list(theory.events), initial_loss):
            rows.append({"scale": scale, "seed": seed, "variant": name, **row,
                         "training_seconds": seconds, "prediction_seconds": prediction_seconds,
                         "training_status": training.status, "measured_end": training.trajectory.times[-1]})
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--scales", type=float, nargs="+", default=[1e-2, 1e-3, 1e-4])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/agreement.csv"))
    parser.add_argument("overrides", nargs="*", help="configuration, for instance experiment=diagonal_5d")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    for scale in chosen.scales:
        for seed in chosen.seeds:
            rows += agreement(chosen.overrides, seed, scale, chosen.variants)
            write_csv(chosen.output, pd.DataFrame(rows))
            print(f"scale {scale:g} seed {seed}: {len(rows)} rows", flush=True)


if __name__ == "__main__":
    main()
