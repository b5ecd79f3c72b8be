"""Claims about representations that are learned from actions and contacts."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

import numpy as np

from agfrun.labs.interaction.claims import LARGEST_ERROR, LEAST_ACCURACY, LEAST_AGENT, LEAST_OBJECT, NOTHING
from agfrun.labs.interaction.paper_claims.trials import CODES, LEARNER, WORLDS, Trials, paper
from agfrun.study.paper_claim import OURS, Finding, at_least, at_most, small

REICHLIN = paper("Reichlin, Marchetti, Yin, Varava & Kragic 2023, Geometric Representations of Objects via Interaction")
ROUNDING = "rounding in double precision"
_EXACT = "a code violates a condition in a share of transitions or in none"
# Half of the transitions are contacts: a code of the object that is elsewhere misses most of these.
_MANY = 0.4
_HERE, _THERE = np.array([0.3, -0.2]), np.array([0.55, -0.1])
_UNIT = np.eye(2)
_TURN = np.array([[0.6, -0.8], [0.8, 0.6]])


@REICHLIN.claim(CODES, "theorem 4", "theorem")
def translations_meet_all_conditions(trials: Trials) -> Finding:
    """A code that is the true state up to one translation of agent and object moves the object if and only if it lies
    on the agent's path.
    """
    return small(trials.violations(_UNIT, _HERE, _HERE), 1e-12, ROUNDING, trials.text)


@REICHLIN.claim(CODES, "theorem 4", "theorem")
def two_translations_do_not(trials: Trials) -> Finding:
    """With another translation of the object than of the agent it does not."""
    return at_least(_MANY, trials.violations(_UNIT, _HERE, _THERE), _EXACT, trials.text)


@REICHLIN.claim(CODES, "theorem 4", "theorem")
def turned_objects_do_not(trials: Trials) -> Finding:
    """With the object's place turned it does not."""
    return at_least(_MANY, trials.violations(_TURN, _HERE, _HERE), _EXACT, trials.text)


@REICHLIN.claim(WORLDS, "section 5.2, published generator", "numerics", sharper="every_transition_is_what_it_says")
def random_paths_are_free(trials: Trials) -> Finding:
    """A path whose end is drawn without a look at the object, as in the free half of the published data, touches it in
    at most 2 of 100 cases, so that the object may be left where it is.
    """
    return at_most(0.02, trials.touching_paths(), "random ends of paths in the published size, diamonds", trials.text)


@REICHLIN.claim(WORLDS, OURS, "ours")
def every_transition_is_what_it_says(trials: Trials) -> Finding:
    """With paths that are drawn until they touch the object, or until they do not, it moves if and only if it is
    touched.
    """
    return small(trials.mistaken(), 0.01, "an object may jump to where it was", trials.text)


@REICHLIN.claim(LEARNER, "section 5", "numerics")
def agents_are_found(trials: Trials) -> Finding:
    """The agent's place is recovered up to a translation: it explains 0.99 of the variance."""
    return at_least(LEAST_AGENT, trials.value("agent_r2"), trials.trained, trials.text)


@REICHLIN.claim(LEARNER, "section 5", "numerics")
def objects_are_found(trials: Trials) -> Finding:
    """So is the object's, that no label tells: 0.72 of the variance after 500 steps."""
    return at_least(LEAST_OBJECT["mixture"], trials.value("object_r2"), trials.trained, trials.text)


@REICHLIN.claim(LEARNER, "theorem 4", "numerics")
def representations_are_isometric(trials: Trials) -> Finding:
    """The difference between the places of agent and object is that of their codes, to an error of 0.04."""
    return at_most(LARGEST_ERROR, trials.value("isometry_error"), trials.trained, trials.text)


@REICHLIN.claim(LEARNER, "section 4", "numerics")
def otsu_tells_contacts(trials: Trials) -> Finding:
    """Otsu's threshold on the distance of contrastive codes tells 0.8 of all transitions rightly."""
    return at_least(LEAST_ACCURACY["otsu"], trials.value("contact_accuracy", split="otsu"), trials.trained, trials.text)


@REICHLIN.claim(LEARNER, OURS, "ours")
def a_mixture_tells_contacts_better(trials: Trials) -> Finding:
    """Two Gaussians in the logarithm of the distance tell more than Otsu's threshold, and the object is found more
    exactly for it.
    """
    accuracies, errors = ([trials.value(column, split=split) for split in ("mixture", "otsu")]
                          for column in ("contact_accuracy", "isometry_error"))
    return Finding(f"above {accuracies[1]:.3f}; below {errors[1]:.4f}", f"{accuracies[0]:.3f}; {errors[0]:.4f}", None,
                   trials.trained, accuracies[0] > accuracies[1] and errors[0] < errors[1], trials.text)


@REICHLIN.claim(LEARNER, OURS, "ours")
def contacts_place_the_object(trials: Trials) -> Finding:
    """Without the loss of contacts the object's place explains less than 0.1 of the variance."""
    return at_most(NOTHING, trials.value("object_r2", "no_plus"), trials.trained, trials.text)


@REICHLIN.claim(LEARNER, OURS, "ours")
def contrast_tells_contacts(trials: Trials) -> Finding:
    """Without the contrastive loss contacts are told worse, and the object's place explains less than half of the
    variance.
    """
    accuracy, explained = (trials.value(column, "no_contrast") for column in ("contact_accuracy", "object_r2"))
    bound = trials.value("contact_accuracy")
    return Finding(f"below {bound:.3f}; at most 0.5", f"{accuracy:.3f}; {explained:.3f}", None, trials.trained,
                   accuracy < bound and explained <= 0.5, trials.text)


@REICHLIN.claim(LEARNER, "section 5", "numerics")
def autoencoders_are_beaten(trials: Trials) -> Finding:
    """The isometry error is below that of an equivariant variational autoencoder."""
    return trials.below(trials.value("isometry_error", "vae"), trials.value("isometry_error"), trials.trained)


@REICHLIN.claim(LEARNER, "section 5", "numerics", sharper="keypoints_are_beaten_in_perspective")
def keypoints_are_beaten(trials: Trials) -> Finding:
    """The isometry error is below that of the Transporter's keypoints, on sprites that are seen from above."""
    return _below_keypoints(trials, "above")


@REICHLIN.claim(LEARNER, OURS, "ours")
def keypoints_are_beaten_in_perspective(trials: Trials) -> Finding:
    """Keypoints are places in the image, which seen from above are those on the field; seen from an edge, in
    perspective, they are not, and the isometry error is below theirs.
    """
    return _below_keypoints(trials, "edge")


def _below_keypoints(trials: Trials, view: str) -> Finding:
    keypoints, ours = (trials.value("isometry_error", method, view=view) for method in ("keypoints", "interaction"))
    return trials.below(keypoints, ours, trials.trained)
