"""agfrun: a laboratory for how neural networks learn, and what functions they can be.

>>> from agfrun import RunConfig, run
>>> result = run(RunConfig())  # doctest: +SKIP
>>> print(result.summary())  # doctest: +SKIP

What a plugin, a notebook or a script needs is exported here by name; deeper modules are private. Names are imported on
first use, so that the command line can answer without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agfrun.study.exports import imported_on_first_use
from agfrun.version import __version__

if TYPE_CHECKING:
    from agfrun.configuration.composition import load_config
    from agfrun.files.saved_run import read_run
    from agfrun.files.series import Attempt, Tables, attempt
    from agfrun.labs.staircases.agf.alternation import AlternationOptions
    from agfrun.labs.staircases.agf.predict import predict
    from agfrun.labs.staircases.config import (
        AgfConfig,
        DataConfig,
        GradientDescentConfig,
        GradientFlowConfig,
        InitConfig,
        ModelConfig,
        RunConfig,
        TrainConfig,
    )
    from agfrun.labs.staircases.dynamics.gradient_descent import train_by_gradient_descent
    from agfrun.labs.staircases.dynamics.gradient_flow import train_by_gradient_flow
    from agfrun.labs.staircases.ensemble.run import run_seeds
    from agfrun.labs.staircases.networks.base import Architecture
    from agfrun.labs.staircases.networks.streams import draw_normal, draw_signs, draw_uniform
    from agfrun.labs.staircases.networks.two_layer.sample_network import SampleNetwork
    from agfrun.labs.staircases.networks.two_layer.samples import Samples
    from agfrun.labs.staircases.run.pipeline import run
    from agfrun.labs.staircases.run.problem import build_problem
    from agfrun.labs.staircases.run.result import Result
    from agfrun.labs.staircases.studies.compare import CompareConfig
    from agfrun.report.figures.style import new_figure, settle, styled
    from agfrun.report.html.report import write_comparison, write_report
    from agfrun.report.redraw import redraw
    from agfrun.report.saved_sweep import SavedSweep
    from agfrun.report.sweep_figures import figures_of_numbers
    from agfrun.runner.execution import execute
    from agfrun.runner.rerun import rerun
    from agfrun.runner.resumption import resume_run
    from agfrun.studies.claims import decide
    from agfrun.study.bench import Bench
    from agfrun.study.checks import one_of, require
    from agfrun.study.claim import Claim, Statement, close, undecided
    from agfrun.study.errors import (
        AgfrunError,
        CheckpointError,
        ConfigError,
        DivergenceError,
        OutputError,
        UsageError,
    )
    from agfrun.study.paper_claim import (
        Contexts,
        Finding,
        Inconclusive,
        Paper,
        PaperClaim,
        agreement,
        bounded_below,
        paper_claims,
        same_text,
        small,
    )
    from agfrun.study.registry import choices, register
    from agfrun.study.settings import RunSettings, config_hash, validate
    from agfrun.study.study import Choice, Saved, Study, StudyResult
    from agfrun.study.table import Column, Number, Schema
    from agfrun.study.verdict import Verdict
    from agfrun.sweep.gather import gather

_STAIRCASES = "agfrun.labs.staircases"
__all__ = [
    "AgfConfig", "AgfrunError", "AlternationOptions", "Architecture", "Attempt", "Bench", "CheckpointError",
    "Choice", "Claim", "Column", "CompareConfig", "ConfigError", "Contexts", "DataConfig", "DivergenceError",
    "Finding", "GradientDescentConfig", "GradientFlowConfig", "Inconclusive", "InitConfig", "ModelConfig", "Number",
    "OutputError", "Paper", "PaperClaim", "Result", "RunConfig", "RunSettings", "SampleNetwork", "Samples", "Saved",
    "SavedSweep", "Schema", "Statement", "Study", "StudyResult", "Tables", "TrainConfig", "UsageError", "Verdict",
    "__version__", "agreement", "attempt", "bounded_below", "build_problem", "choices", "close", "config_hash",
    "decide", "draw_normal", "draw_signs", "draw_uniform", "execute", "figures_of_numbers", "gather", "load_config",
    "new_figure", "one_of", "paper_claims", "predict", "read_run", "redraw", "register", "require", "rerun",
    "resume_run", "run", "run_seeds", "same_text", "settle", "small", "styled", "train_by_gradient_descent",
    "train_by_gradient_flow", "undecided", "validate", "write_comparison", "write_report",
]

__getattr__ = imported_on_first_use(__name__, {
    "agfrun.configuration.composition": "load_config",
    "agfrun.files.saved_run": "read_run",
    "agfrun.files.series": "Attempt Tables attempt",
    f"{_STAIRCASES}.agf.alternation": "AlternationOptions",
    f"{_STAIRCASES}.agf.predict": "predict",
    f"{_STAIRCASES}.config": "AgfConfig DataConfig GradientDescentConfig GradientFlowConfig InitConfig ModelConfig "
                             "RunConfig TrainConfig",
    f"{_STAIRCASES}.dynamics.gradient_descent": "train_by_gradient_descent",
    f"{_STAIRCASES}.dynamics.gradient_flow": "train_by_gradient_flow",
    f"{_STAIRCASES}.ensemble.run": "run_seeds",
    f"{_STAIRCASES}.networks.base": "Architecture",
    f"{_STAIRCASES}.networks.streams": "draw_normal draw_signs draw_uniform",
    f"{_STAIRCASES}.networks.two_layer.sample_network": "SampleNetwork",
    f"{_STAIRCASES}.networks.two_layer.samples": "Samples",
    f"{_STAIRCASES}.run.pipeline": "run",
    f"{_STAIRCASES}.run.problem": "build_problem",
    f"{_STAIRCASES}.run.result": "Result",
    f"{_STAIRCASES}.studies.compare": "CompareConfig",
    "agfrun.report.figures.style": "new_figure settle styled",
    "agfrun.report.html.report": "write_comparison write_report",
    "agfrun.report.redraw": "redraw",
    "agfrun.report.saved_sweep": "SavedSweep",
    "agfrun.report.sweep_figures": "figures_of_numbers",
    "agfrun.runner.execution": "execute",
    "agfrun.runner.rerun": "rerun",
    "agfrun.runner.resumption": "resume_run",
    "agfrun.studies.claims": "decide",
    "agfrun.study.bench": "Bench",
    "agfrun.study.checks": "one_of require",
    "agfrun.study.claim": "Claim Statement close undecided",
    "agfrun.study.errors": "AgfrunError CheckpointError ConfigError DivergenceError OutputError UsageError",
    "agfrun.study.paper_claim": "Contexts Finding Inconclusive Paper PaperClaim agreement bounded_below paper_claims "
                                "same_text small",
    "agfrun.study.registry": "choices register",
    "agfrun.study.settings": "RunSettings config_hash validate",
    "agfrun.study.study": "Choice Saved Study StudyResult",
    "agfrun.study.table": "Column Number Schema",
    "agfrun.study.verdict": "Verdict",
    "agfrun.sweep.gather": "gather",
})
