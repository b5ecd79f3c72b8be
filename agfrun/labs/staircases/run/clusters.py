"""Features of a network that has none of its own: neurons that point the same way are one.

Where features are the neurons themselves, several that grow along one direction would be acquired together, and a
prediction that activates one of them would be wrong about all others. What matters of a neuron is its direction, for
neurons of one direction act as one (of a homogeneous network; AGF paper, section 2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray, Trajectory
from agfrun.labs.staircases.events.event import Event

# Cosine of two neurons that are one feature.
ALIGNED = 0.95
# The neurons that have come to nothing.
OTHERS = "others"


@dataclass(frozen=True)
class Clusters:
    """Which neurons are one feature.

    Attributes:
        names: of the features, each the number of its largest neuron; `others` is of neurons that come to nothing.
        members: the feature of each neuron, (H,).
    """

    names: tuple[str, ...]
    members: IntArray

    def of_path(self, path: Trajectory) -> Trajectory:
        """A path whose features were the neurons: each feature has the size of its neurons together."""
        members = np.eye(len(self.names))[self.members]
        directions = np.where(path.direction_feature >= 0, self.members[path.direction_feature], -1)
        return replace(path, feature_names=self.names, features=path.features @ members, direction_feature=directions)

    def of_prediction(self, prediction: Prediction) -> Prediction:
        """A prediction whose features were the neurons."""
        return replace(prediction, trajectory=self.of_path(prediction.trajectory),
                       events=tuple(self._of_events(prediction.events)),
                       rounds=tuple(replace(stage, feature=self._name(stage.feature)) for stage in prediction.rounds))

    def _of_events(self, events: Iterable[Event]) -> Iterable[Event]:
        return (replace(event, feature=self._name(event.feature)) for event in events)

    def _name(self, neuron: str) -> str:
        return self.names[int(self.members[int(neuron)])]


def clusters_of(neurons: Tensor, sizes: FloatArray, smallest: float) -> Clusters:
    """Cluster neurons by their directions, the largest first, each with the first before it that it is aligned with.

    Args:
        neurons: at the end of training, (H, D).
        sizes: of each neuron's output, (H,).
        smallest: size below which a neuron that is aligned with no larger one has come to nothing.
    """
    norms = torch.linalg.vector_norm(neurons, dim=1, keepdim=True)
    directions = (neurons / norms.clamp_min(torch.finfo(neurons.dtype).tiny)).double().cpu().numpy()
    leaders, members = list[int](), np.zeros(len(sizes), dtype=np.int64)
    for neuron in np.argsort(-sizes, kind="stable").tolist():
        aligned = directions[leaders] @ directions[neuron]
        if len(leaders) and aligned.max() >= ALIGNED:
            members[neuron] = int(aligned.argmax())
        elif sizes[neuron] >= smallest:
            members[neuron] = len(leaders)
            leaders.append(neuron)
        else:
            members[neuron] = -1
    names = tuple(map(str, leaders))
    if (members < 0).any():
        members[members < 0], names = len(names), (*names, OTHERS)
    return Clusters(names, members)
