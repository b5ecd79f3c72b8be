"""What the parts of a training carry from step to step, as plain numbers and arrays for a checkpoint, and back.

Optimizers and schedulers are taken by their `state_dict`, whatever it holds, so that any of torch's can be resumed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from agfrun.files.training_state import TrainingState

# What numpy and the file format can hold; tensors of other types (bfloat16, float8, complex) are kept as their bytes.
PLAIN = frozenset({torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8,
                   torch.uint8, torch.bool})
_CONTAINERS = {"list": list, "tuple": tuple, "dict": dict, "counter": Counter}
# The generators of torch's CPU differ in the lowest 32 bits of the seed only, and batches are drawn from `seed` itself.
_MODEL_SEED = 0x9E3779B9


def flatten(value: Any, name: str = "value") -> TrainingState:
    """Any nesting of mappings, lists, tuples, tensors, numbers, words and None as numbers and arrays.

    Tensors are copied to the CPU, bit for bit, with their shape and type.

    Args:
        name: of the value, for messages.

    Raises:
        TypeError: it holds something else, such as a function; the message says where.
    """
    arrays: dict[str, Tensor] = {}
    return TrainingState({"tree": _tree(value, (name,), arrays)}, arrays)


def unflatten(state: TrainingState) -> Any:
    """The value that `flatten` was given; its tensors are new ones, on the CPU."""
    return _value(state.numbers["tree"], state.arrays)


def model_state(model: nn.Module) -> TrainingState:
    """Parameters, buffers (those that are not persistent, too) and what modules keep as extra state."""
    return TrainingState.joined(tensors=flatten(_tensors(model), "model"), extra=flatten(_extra(model), "model"))


def check_model(model: nn.Module, state: TrainingState) -> None:
    """Check that a state is of such a model.

    Raises:
        ValueError: the names, shapes or types of the parameters and buffers are others.
    """
    saved, own = unflatten(state.part("tensors")), _tensors(model)
    for name in (*own, *saved):
        if name not in own or name not in saved:
            raise ValueError(f"only {'this' if name in own else 'its'} model has {name}")
        one, other = saved[name], own[name]
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            raise ValueError(f"{name} is {_described(one)} in it, {_described(other)} in this model")


def restore_model(model: nn.Module, state: TrainingState) -> None:
    """Take up a state in place, after `check_model`."""
    saved, extra = unflatten(state.part("tensors")), unflatten(state.part("extra"))
    with torch.no_grad():
        for name, tensor in _tensors(model).items():
            tensor.copy_(saved[name])
    if extra:
        model.load_state_dict(extra, strict=False)


def optimizer_state(optimizer: Optimizer) -> TrainingState:
    """The options of the groups of parameters, and what the optimizer keeps for each of these."""
    return flatten(optimizer.state_dict(), type(optimizer).__name__)


def restore_optimizer(optimizer: Optimizer, state: TrainingState) -> None:
    """Take up a state.

    Raises:
        ValueError: it is of other groups of parameters.
    """
    saved = unflatten(state)
    optimizer.load_state_dict(saved)
    # `load_state_dict` rounds what is kept to the type of the parameters: put the very bits back, on the same device.
    loaded = optimizer.state_dict()["state"]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for key, kept in saved["state"].items():
        owner = parameters[key] if isinstance(key, int) else key
        optimizer.state[owner] = _exact(loaded[key], kept)


def random_devices(model: nn.Module) -> list[torch.device]:
    """The accelerators whose generators a model may draw from, besides the CPU's."""
    devices = {tensor.device for tensor in _tensors(model).values()}
    return sorted((device for device in devices if device.type == "cuda"), key=str)


@contextmanager
def initialization(seed: int) -> Iterator[None]:
    """Within this context layers are initialized from a seed; torch's global generator is afterwards as before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def random_numbers(model: nn.Module, seed: int) -> Iterator[None]:
    """Within this context torch's global generators are those of a training; afterwards they are as before."""
    devices = random_devices(model)
    with torch.random.fork_rng(devices=devices):
        number = (seed + _MODEL_SEED) % 2 ** 63
        torch.default_generator.manual_seed(number)
        for device in devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(number)
        yield


def random_state(model: nn.Module) -> TrainingState:
    """The states of torch's global generators, from which for instance dropout draws."""
    return TrainingState({}, {"cpu": torch.get_rng_state(), **{
        str(device): torch.cuda.get_rng_state(device) for device in random_devices(model)}})


def restore_random(model: nn.Module, state: TrainingState) -> None:
    """Take up a state, within `random_numbers`; a generator that it lacks stays as seeded."""
    torch.set_rng_state(state.arrays["cpu"].clone())
    for device in random_devices(model):
        if str(device) in state.arrays:
            torch.cuda.set_rng_state(state.arrays[str(device)].clone(), device)


def _tree(value: Any, path: tuple[str, ...], arrays: dict[str, Tensor]) -> Any:
    """The value as JSON; tensors go to `arrays` and leave their name, type and shape."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, complex):
        return {"kind": "complex", "items": [value.real, value.imag]}
    if isinstance(value, Tensor):
        return _leaf(value, ".".join(path), arrays)
    if isinstance(value, Mapping):
        items = [[_tree(key, path, arrays), _tree(item, (*path, str(key)), arrays)] for key, item in value.items()]
        return {"kind": "counter" if isinstance(value, Counter) else "dict", "items": items}
    if isinstance(value, list | tuple):
        items = [_tree(item, (*path, str(index)), arrays) for index, item in enumerate(value)]
        return {"kind": "tuple" if isinstance(value, tuple) else "list", "items": items}
    raise TypeError(f"{'.'.join(path)} is a {type(value).__name__}, which no checkpoint can hold")


def _leaf(value: Tensor, name: str, arrays: dict[str, Tensor]) -> Any:
    if value.layout != torch.strided:
        raise TypeError(f"{name} is a sparse tensor, which no checkpoint can hold")
    while name in arrays:  # the keys 0 and "0" of a mapping look the same
        name += "'"
    # A copy: the training goes on, while the state is kept.
    array = value.detach().resolve_conj().resolve_neg().cpu().clone(memory_format=torch.contiguous_format)
    # Of at least one dimension, as numpy's contiguous arrays are.
    array = array.reshape(-1) if value.dim() == 0 or value.dtype not in PLAIN else array
    arrays[name] = array if value.dtype in PLAIN else array.view(torch.uint8)
    return {"kind": "tensor", "array": name, "dtype": str(value.dtype).removeprefix("torch."),
            "shape": list(value.shape)}


def _value(tree: Any, arrays: Mapping[str, Tensor]) -> Any:
    if not isinstance(tree, Mapping):
        return tree
    kind = tree["kind"]
    if kind == "tensor":
        dtype = getattr(torch, tree["dtype"])
        # Cloned: torch aligns its memory, and the last bits of a sum may depend on that.
        return arrays[tree["array"]].clone().view(dtype).reshape(tree["shape"])
    if kind == "complex":
        return complex(*tree["items"])
    if kind in ("dict", "counter"):
        return _CONTAINERS[kind]({_value(key, arrays): _value(item, arrays) for key, item in tree["items"]})
    return _CONTAINERS[kind](_value(item, arrays) for item in tree["items"])


def _exact(loaded: Any, saved: Any) -> Any:
    """`saved`, its tensors on the devices of those of `loaded`."""
    if isinstance(saved, Tensor):
        return saved.to(loaded.device)
    if isinstance(saved, dict):
        return {key: _exact(loaded[key], item) for key, item in saved.items()}
    if isinstance(saved, list | tuple):
        return type(saved)(_exact(one, other) for one, other in zip(loaded, saved, strict=True))
    return saved


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name; what is shared between modules comes once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _extra(model: nn.Module) -> dict[str, Any]:
    return {key: value for key, value in model.state_dict().items() if key.endswith("_extra_state")}


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
