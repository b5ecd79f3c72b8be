"""The ranges of the configuration's values and what suits what, checked once at the edge.

Imports neither torch nor Hydra.
"""

from __future__ import annotations

import math

from agfrun.study import registry
from agfrun.study.checks import MOST_SEEDS, one_of, positive, require
from agfrun.study.memory import check_data_memory
from agfrun.study.schema import (
    AGF_METHODS,
    COST_PHASES,
    DEFAULT_STUDY,
    DEVICES,
    DORMANT_CLOCKS,
    DTYPES,
    FLOW_METHODS,
    LOSS_NORMALIZATIONS,
    PLOT_FORMATS,
    TRACKERS,
    TRACKING_SCHEMES,
    TRAINERS,
    AgfConfig,
    CheckpointConfig,
    GradientDescentConfig,
    GradientFlowConfig,
    RunConfig,
    TrackingConfig,
    TrainConfig,
)


def validate(config: RunConfig) -> RunConfig:
    """Check every range; return the configuration unchanged.

    Raises:
        ConfigError: names the first key that is not allowed, its value and what is allowed.
    """
    one_of("device", config.device, DEVICES)
    one_of("dtype", config.dtype, DTYPES)
    require("seed", config.seed, 0 <= config.seed < 2**63, "an integer from 0 to 2**63 - 1")
    for plot_format in config.plot_formats:
        one_of("plot_formats", plot_format, PLOT_FORMATS)
    one_of("model.loss_normalization", config.model.loss_normalization, LOSS_NORMALIZATIONS)
    config.model.check()
    check_data_memory(config)
    config.data.check()
    _validate_match(config)
    _validate_init(config)
    _validate_train(config.train)
    _validate_agf(config.agf)
    _validate_ensemble(config)
    require("sweep.batch_size", config.sweep.batch_size, config.sweep.batch_size >= 1, "an integer of at least 1")
    _validate_checkpoint(config.checkpoint)
    _validate_tracking(config.tracking)
    config.study.check(config)
    return config


def _validate_match(config: RunConfig) -> None:
    """The network can be built on the data, and has the initialization."""
    model = config.model
    fitting = [name for name, data in registry.data_sets().items() if issubclass(data.provides, model.data_type)]
    if not issubclass(config.data.provides, model.data_type):
        one_of("data.name", config.data.name, fitting, f" with model={model.name}")
    one_of("init.name", config.init.name, model.initializations, f" with model={model.name}")


def _validate_init(config: RunConfig) -> None:
    scale, exponent = config.init.scale, config.init.log10_scale
    require("init.scale", scale, math.isfinite(scale) and 0 < scale < 1,
            "a number above 0 and below 1; for scales below the smallest float there is init.log10_scale, e.g. -400")
    require("init.log10_scale", exponent, exponent is None or -1e6 <= exponent < 0,
            "an exponent from -1e6 up to but not including 0, or null")


def _validate_ensemble(config: RunConfig) -> None:
    ensemble = config.ensemble
    require("ensemble.seeds", ensemble.seeds, 1 <= ensemble.seeds <= MOST_SEEDS,
            f"an integer from 1 to {MOST_SEEDS}")
    scales = ensemble.scales
    if scales is not None:
        fine = all(math.isfinite(scale) and 0 < scale < 1 for scale in scales)
        require("ensemble.scales", scales, fine and 0 < len(set(scales)) == len(scales),
                "a list of different numbers above 0 and below 1, or null")
        require("init.log10_scale", config.init.log10_scale, config.init.log10_scale is None,
                "null where ensemble.scales are given")
    if ensemble.is_asked_for:
        require("study", config.study.name, config.study.name == DEFAULT_STUDY, f"{DEFAULT_STUDY} for an ensemble")
    sampled = isinstance(config.train, GradientDescentConfig) and config.train.batch_size is not None
    require("ensemble.seeds", ensemble.seeds, ensemble.seeds == 1 or config.init.name != "deterministic" or sampled,
            "1 with init=deterministic, which no seed changes")
    require("ensemble.seeds", ensemble.seeds, config.seed + ensemble.seeds <= 2**63,
            "few enough for seeds below 2**63")


def _validate_tracking(tracking: TrackingConfig) -> None:
    one_of("tracking.name", tracking.name, TRACKERS)
    require("tracking.uri", tracking.uri, tracking.uri.startswith(TRACKING_SCHEMES),
            "sqlite:///FILE, or the address of a server, http://HOST:PORT")
    require("tracking.experiment", tracking.experiment, bool(tracking.experiment.strip()), "a name")
    require("tracking.folder", tracking.folder, bool(tracking.folder.strip()), "a folder")


def _validate_checkpoint(checkpoint: CheckpointConfig) -> None:
    seconds = checkpoint.seconds
    require("checkpoint.seconds", seconds, seconds is None or 0 <= seconds < math.inf,
            "a number of seconds of at least 0, or null for no checkpoints")
    require("checkpoint.keep", checkpoint.keep, checkpoint.keep >= 1, "an integer of at least 1")


def _validate_train(train: TrainConfig) -> None:
    one_of("train.name", train.name, tuple(TRAINERS))
    if train.horizon is not None:
        require("train.horizon", train.horizon, positive(train.horizon),
                "a positive time, or null to choose it from the prediction")
    require("train.convergence", train.convergence, 0 <= train.convergence < 1,
            "a fraction of the initial loss from 0 up to but not including 1")
    require("train.max_rows", train.max_rows, 100 <= train.max_rows <= 20000, "an integer from 100 to 20000")
    if isinstance(train, GradientFlowConfig):
        one_of("train.method", train.method, FLOW_METHODS)
        require("train.tolerance", train.tolerance, 1e-13 <= train.tolerance <= 1e-2,
                "a number from 1e-13 to 1e-2")
    elif isinstance(train, GradientDescentConfig):
        require("train.learning_rate", train.learning_rate, positive(train.learning_rate),
                "a positive number")
        require("train.momentum", train.momentum, 0 <= train.momentum < 1,
                "a number from 0 up to but not including 1")
        for key in ("max_steps", "batch_size"):
            value = getattr(train, key)
            require(f"train.{key}", value, value is None or value >= 1, "an integer of at least 1, or null")
        require("train.compile", train.compile, not train.compile or train.batch_size is None,
                "false where train.batch_size is given: batches are drawn by Python")
        one_of("train.loss_normalization", train.loss_normalization, LOSS_NORMALIZATIONS)


def _validate_agf(agf: AgfConfig) -> None:
    one_of("agf.method", agf.method, AGF_METHODS)
    one_of("agf.cost_phase", agf.cost_phase, COST_PHASES)
    one_of("agf.dormant_clock", agf.dormant_clock, DORMANT_CLOCKS)
    require("agf.threshold", agf.threshold, positive(agf.threshold), "a positive norm")
    for key in ("tolerance", "cost_tolerance"):
        value = getattr(agf, key)
        require(f"agf.{key}", value, 1e-13 <= value <= 1e-2, "a number from 1e-13 to 1e-2")
    require("agf.loss_tolerance", agf.loss_tolerance, 0 <= agf.loss_tolerance < 1,
            "a fraction of the initial loss from 0 up to but not including 1")
    require("agf.max_events", agf.max_events, agf.max_events >= 1, "an integer of at least 1")
    require("agf.max_time", agf.max_time, agf.max_time is None or positive(agf.max_time),
            "a positive time, or null")
