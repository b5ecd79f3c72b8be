"""States of a training under way, kept in `checkpoints/` of its run folder.

A checkpoint is a safetensors file: the arrays, and as metadata the numbers as JSON and a checksum of both. Nothing in
it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from agfrun.files.arrays import read_arrays
from agfrun.files.folders import CHECKPOINTS_FOLDER, folder_name
from agfrun.files.inside import made_inside, refuse_link
from agfrun.files.parsing import parse_json
from agfrun.files.training_state import TrainingState
from agfrun.files.writing import remove_file, remove_folder, write_safetensors
from agfrun.study.errors import CheckpointError, OutputError
from agfrun.study.settings import CheckpointConfig

FORMAT = "agfrun training state 1"
# Writing may take this share of the time of a run at most, whatever `checkpoint.seconds` asks for.
LARGEST_SHARE = 0.05

Arrays = Mapping[str, npt.NDArray[np.generic]]


class CheckpointFolder:
    """The checkpoints of one run; implements `agfrun.files.training_state.Checkpoints`.

    Args:
        run_dir: folder of the run.
        settings: how often and how many.
        config_hash: of the run; a checkpoint of another is not taken up.
        name: tells one of several trainings of the run from the others; empty where there is one alone.

    Raises:
        OutputError: the folder of checkpoints is a link.
    """

    def __init__(self, run_dir: Path, settings: CheckpointConfig, config_hash: str, name: str = "") -> None:
        self.run_dir = run_dir
        self.names = (CHECKPOINTS_FOLDER, *([folder_name(name)] if name else []))
        self.folder = run_dir.joinpath(*self.names)
        for folder in (run_dir / CHECKPOINTS_FOLDER, self.folder):
            refuse_link(folder)
        self.settings, self.config_hash = settings, config_hash
        self.number = max((int(path.stem) for path in self._files()), default=0)
        self.next = time.monotonic() + (settings.seconds or 0.0)
        self.failure = ""

    def due(self) -> bool:
        """See `Checkpoints.due`. The clock is one that nobody sets."""
        return self.settings.seconds is not None and time.monotonic() >= self.next

    def save(self, state: TrainingState) -> None:
        """See `Checkpoints.save`: a disk that is full now may not be later, and the run needs none of this."""
        if self.settings.seconds is None:
            return
        started = time.monotonic()
        try:
            made_inside(self.run_dir, *self.names)  # not the run's folder, should that have vanished
            write_state(self.folder / f"{self.number + 1:06d}.safetensors", state, self.config_hash)
            self.number += 1
            for old in list(self._files())[self.settings.keep:]:
                remove_file(old)
        except (OSError, OutputError) as error:
            if str(error) != self.failure:
                print(f"agfrun: warning: no checkpoint was written: {error}", file=sys.stderr)
            self.failure = str(error)
        now = time.monotonic()
        self.next = now + max(self.settings.seconds, (now - started) / LARGEST_SHARE)

    def latest(self) -> TrainingState | None:
        """The newest state that is whole, or None; a warning says what is wrong with each newer one."""
        for path in self._files():
            try:
                return read_state(path, self.config_hash)
            except CheckpointError as error:
                print(f"agfrun: warning: {error}; the one before is used, or the run starts anew", file=sys.stderr)
        return None

    def clear(self) -> None:
        """Remove all of them."""
        remove_folder(self.folder)

    def _files(self) -> Iterator[Path]:
        """Newest first."""
        yield from sorted(self.folder.glob("[0-9]*[0-9].safetensors"), reverse=True)


def write_state(path: Path, state: TrainingState, config_hash: str) -> None:
    """Write a state atomically.

    Raises:
        OutputError: it cannot be written.
    """
    arrays = {name: np.ascontiguousarray(array.detach().cpu().numpy()) for name, array in state.arrays.items()}
    numbers = json.dumps(dict(state.numbers), sort_keys=True)
    write_safetensors(path, arrays, {"format": FORMAT, "config_hash": config_hash, "numbers": numbers,
                                     "sha256": _checksum(numbers, config_hash, arrays)})


def read_state(path: Path, config_hash: str) -> TrainingState:
    """Read a state back.

    Raises:
        CheckpointError: the file is damaged, no checkpoint, or one of another configuration.
    """
    try:
        arrays, metadata = read_arrays(path)
        if metadata.get("format") != FORMAT:
            raise CheckpointError(f"{path} is no checkpoint of this version")
        if metadata["sha256"] != _checksum(metadata["numbers"], metadata["config_hash"], arrays):
            raise CheckpointError(f"{path} is damaged: its checksum is wrong")
        numbers = parse_json(metadata["numbers"])
    except OutputError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    if metadata["config_hash"] != config_hash:
        raise CheckpointError(f"{path} belongs to another configuration")
    return TrainingState(numbers, {name: torch.from_numpy(array) for name, array in arrays.items()})


def _checksum(numbers: str, config_hash: str, arrays: Arrays) -> str:
    digest = hashlib.sha256(f"{config_hash}\n{numbers}\n".encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
