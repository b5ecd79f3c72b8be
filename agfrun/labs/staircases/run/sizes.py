"""How much memory a run will need, estimated before any of it is taken.

The estimates are rough (tests/reliability/test_memory.py compares them with what runs took) and refuse only what
exceeds the memory there is. Imports no torch.
"""

from __future__ import annotations

from typing import Any

from agfrun.study.memory import require_memory

NUMBER_BYTES = {"float64": 8, "float32": 4}
# Vectors of all parameters that a training holds at a time: stages, history, kept states, copies for files.
VECTORS = 60
# Arrays of a mini-batch: its samples, what they become, and products of both.
SAMPLE_ARRAYS = 3
# Numbers of 8 bytes for each row of the recorded paths: for a neuron, and for a feature, which has a row of the
# tables to itself.
NEURON_NUMBERS, FEATURE_NUMBERS = 16, 40
# Whole states are kept up to this size, by training and by the prediction.
STATES = 2 * 256 * 2**20


def check_data_memory(config: Any) -> None:
    """Refuse data that do not fit into memory.

    Raises:
        ConfigError: see `require_memory`.
    """
    require_memory(config, config.data.memory())


def check_training_memory(config: Any, data: object) -> None:
    """Refuse a network that cannot be trained in the memory there is.

    Args:
        data: what it is trained on.

    Raises:
        ConfigError: see `require_memory`.
    """
    shape = config.model.neurons_shape(data)
    if shape is not None:
        require_memory(config, config.data.memory() + training_memory(config, *shape))


def training_memory(config: Any, width: int, dimension: int) -> float:
    """Bytes that prediction and training take, of a network of H neurons (`width`) of dimension D.

    Besides the parameters these are the matrices of an integrator that factorizes, the samples of a mini-batch, and the
    recorded paths, of about D features.
    """
    number, parameters = NUMBER_BYTES[config.dtype], float(width) * dimension
    # A state is kept whole even if it exceeds what states may take.
    states = min(STATES, 2.0 * config.train.max_rows * parameters * number)
    paths = 8.0 * config.train.max_rows * (NEURON_NUMBERS * width + FEATURE_NUMBERS * dimension)
    matrices = config.train.matrix_entries(width, dimension)
    batch = SAMPLE_ARRAYS * float(getattr(config.train, "batch_size", None) or 0) * (width + dimension)
    return float(states + paths + number * (VECTORS * parameters + matrices + batch))
