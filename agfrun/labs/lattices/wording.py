"""What runs of this laboratory say in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agfrun.files.tables import is_missing
from agfrun.study.claim import failing_claims
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from agfrun.labs.lattices.bases import FloatArray

_UNLEARNED = ("greedy", "seysen", "lll_75", "lll_99", "hkz", "lll_greedy", "seysen_greedy", "seysen_support",
              "random_8", "random_32", "beam", "product", "product_sampled")


def text_of_summary(summary: pd.DataFrame, shape: tuple[int, ...]) -> str:
    """The table for the terminal."""
    lines = [f"{shape[0]} lattices of {shape[1]} dimensions; log defects",
             f"{'':<18}{'mean':>9}{'median':>9}{'at best':>9}{'proven':>9}{'moves':>9}{'us':>9}"]
    for row in summary.to_dict("records"):
        cells = [_cell(row[name], form) for name, form in (
            ("mean", ".4f"), ("median", ".4f"), ("at_best", ".1%"), ("at_minima", ".1%"), ("moves", ".1f"),
            ("microseconds", ".0f"))]
        lines.append(f"{row['method']:<18}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def _cell(value: object, form: str) -> str:
    return "" if is_missing(value) else format(value, form)


def verdict_of_summary(summary: pd.DataFrame, claims: pd.DataFrame | None) -> Verdict:
    """The verdict on a run of `study=reduction`: the best method that learned nothing, and what was learned."""
    means = {row["method"]: float(row["mean"]) for row in summary.to_dict("records") if not is_missing(row["mean"])}
    bars = {method: mean for method, mean in means.items() if method in _UNLEARNED}
    parts = []
    if bars:
        best = min(bars, key=lambda method: bars[method])
        parts.append(f"Without learning {best} is best, {bars[best]:.4f}")
    if "learned" in means:
        parts.append(f"learned moves reach {means['learned']:.4f}")
    if "minima" in means:
        share = float(summary.set_index("method").loc["minima", "at_minima"])
        parts.append(f"the optimum is {means['minima']:.4f}, proven for all lattices" if share == 1 else
                     f"the optimum is proven for {share:.1%} of the lattices")
    return ended("; ".join(parts) or f"{len(means)} methods", claims)


def text_of_equal(table: pd.DataFrame, shape: tuple[int, ...], optimum: FloatArray) -> str:
    """The table of `study=anytime` for the terminal; `optimum` has log defects, nan where they are not known."""
    share = float((optimum == optimum).mean())
    proven = (f"; the proven optimum is {optimum.mean():.4f}" if share == 1 else
              f"; the optimum is known for {share:.1%}")
    lines = [f"{shape[0]} lattices of {shape[1]} dimensions; policies against the product rule at its best temperature"
             + proven, f"{'':<14}{'equal':<7}{'moves':>6}{'theirs':>8}{'policy':>9}{'product':>9}{'difference':>20}"]
    for row in table.to_dict("records"):
        error = "" if is_missing(row["standard_error"]) else f" ({row['standard_error']:.4f})"
        lines.append(f"{row['policy'][-13:]:<14}{row['equal']:<7}{row['moves']:>6}{row['product_moves']:>8}"
                     f"{row['mean']:>9.4f}{row['product_mean']:>9.4f}{row['difference']:>+11.4f}{error} "
                     f"{row['verdict']}")
    return "\n".join(lines)


def verdict_of_equal(table: pd.DataFrame, claims: pd.DataFrame | None) -> Verdict:
    """The verdict on a run of `study=anytime`."""
    parts = []
    for kind, words in (("moves", "as many moves"), ("work", "as much work")):
        part = table[(table["equal"] == kind)]
        won = int((part["verdict"] == "better").sum())
        best = part.loc[part["difference"].astype(float).idxmin()]
        parts.append(f"with {words} policies are better in {won} of {len(part)} comparisons, at best {best['policy']} "
                     f"by {-best['difference']:.4f}")
    return ended("; ".join(parts), claims)


def text_of_training(numbers: Mapping[str, float], dimension: int, steps: int) -> str:
    """What a run of `study=policy` prints."""
    return (f"{numbers['parameters']:.0f} parameters, {steps} moves in {dimension} dimensions; mean log defect on "
            f"validation lattices\nbefore training {numbers['defect_start']:.4f}, after it {numbers['defect']:.4f}, "
            f"product rule {numbers['defect_product']:.4f}")


def verdict_of_training(done: Mapping[str, Any], claims: pd.DataFrame | None) -> Verdict:
    """The verdict on a run of `study=policy`."""
    return ended(f"training lowers the mean log defect from {done['defect_start']:.4f} to {done['defect']:.4f}; the "
                 f"product rule has {done['defect_product']:.4f}", claims)


def text_of_joint(table: pd.DataFrame) -> str:
    """The table of `study=joint` for the terminal: methods by taps and block."""
    wide = table.assign(case=[f"{taps}/{block}" for taps, block in zip(table["taps"], table["block"], strict=True)])
    cells = wide.pivot_table(index="method", columns="case", values="mean", sort=False)
    lines = ["mean log defects, taps/sub-carriers that share a matrix",
             f"{'':<18}" + "".join(f"{case:>9}" for case in cells.columns)]
    lines += [f"{method:<18}" + "".join(f"{_cell(value, '.3f'):>9}" for value in row)
              for method, row in zip(cells.index, cells.to_numpy(), strict=True)]
    return "\n".join(lines)


def verdict_of_joint(table: pd.DataFrame, claims: pd.DataFrame | None) -> Verdict:
    """The verdict on a run of `study=joint`."""
    part = table[table["method"] == "joint_learned"]
    won = int((part["verdict"] == "better").sum())
    return ended(f"one learned matrix for a block is below the best bar in {won} of {len(part)} cases, by "
                 f"{-part['difference'].max():.3f} to {-part['difference'].min():.3f}", claims)


def text_of_detection(table: pd.DataFrame) -> str:
    """The table of `study=detection` for the terminal: bit error rates."""
    cells = table.pivot_table(index="detector", columns="snr_db", values="bit_error_rate", sort=False)
    lines = [f"bit error rates, {table['vectors'].iloc[0]} symbol vectors at each ratio in dB",
             f"{'':<22}" + "".join(f"{snr:>9g}" for snr in cells.columns)]
    lines += [f"{name:<22}" + "".join(f"{value:>9.1e}" for value in row)
              for name, row in zip(cells.index, cells.to_numpy(), strict=True)]
    return "\n".join(lines)


def verdict_of_detection(table: pd.DataFrame, claims: pd.DataFrame | None) -> Verdict:
    """The verdict on a run of `study=detection`."""
    errs = table[(table["detector"] == "zf") & (table["vector_errors"] >= 20)]["snr_db"]
    at = float(errs.max()) if len(errs) else float(table["snr_db"].max())
    rates = table[table["snr_db"] == at].set_index("detector")["bit_error_rate"]
    reduced = rates[[name for name in rates.index if name.startswith("zf_")]]
    parts = [f"at {at:g} dB zero forcing has the bit error rate {rates['zf']:.2g}"]
    if len(reduced):
        parts.append(f"in reduced bases {reduced.min():.2g} to {reduced.max():.2g}")
    return ended(", ".join([*parts, f"maximum likelihood {rates['ml']:.2g}"]), claims)


def ended(sentence: str, claims: pd.DataFrame | None) -> Verdict:
    """A verdict with the claims that fail."""
    failing = failing_claims(claims)
    end = f"; {'claims fail' if len(failing) > 1 else 'a claim fails'}: {', '.join(failing)}." if failing else "."
    return Verdict(sentence[:1].upper() + sentence[1:] + end, "bad" if failing else "good")
