"""Emoji in 18 languages: exactly parallel texts with eight classes, the names and keywords of Unicode's CLDR.

From the npm package emojibase-data 17.0.0 (MIT, its licence is in the folder of the texts); `scripts/vendor_emoji.py`
makes the files anew.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array

from agfrun.labs.stitching.datasets.sentences import ENCODER_NAME, require_sentence_encoder, sentence_embeddings
from agfrun.labs.stitching.datasets.sides import Labels, Side, Sides, SidesConfig, dense, require_counts
from agfrun.labs.stitching.datasets.text import CharacterFeatures
from agfrun.study.checks import one_of, require
from agfrun.study.registry import register

FOLDER = Path(__file__).with_name("emoji_texts")
LANGUAGES = ("da", "de", "en", "es", "fi", "fr", "hi", "hu", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "uk", "zh")
ITEMS = 1644
# Training samples follow after the anchors of the benchmark, however many anchors there are: tests stay the same.
_FIRST_TRAIN = 300
_FEWEST_TEST = 44

# Places of anchors, training and test samples.
Parts = tuple[Labels, Labels, Labels]


@register("data")
@dataclass
class EmojiConfig(SidesConfig):
    """One network a language, and one for each of `sentences` that reads what a sentence encoder makes of the texts.

    Items are split by a permutation of `split_seed`: the first `anchors` of it are anchors, `train` from the 301st on
    are trained on, the rest is for testing. More than 300 anchors are, without their classes, training samples as well.
    """

    name: str = "emoji"
    languages: list[str] = field(default_factory=lambda: ["en", "fr", "de", "es"])
    anchors: int = 300
    train: int = 900
    features: int = 4000
    sentences: list[str] = field(default_factory=list)
    split_seed: int = 0

    def check(self) -> None:
        """See `SidesConfig.check`."""
        for key, languages in (("data.languages", self.languages), ("data.sentences", self.sentences)):
            for language in languages:
                one_of(key, language, LANGUAGES)
            require(key, languages, len(set(languages)) == len(languages), "languages, each once")
        require("data.languages", self.languages, self.sides() >= 2,
                "at least two languages, or one beside data.sentences")
        if self.sentences:
            require_sentence_encoder("data.sentences", self.sentences)
        require_counts(self.anchors, self.train, ITEMS - _FIRST_TRAIN - _FEWEST_TEST, f"{ITEMS} emoji")
        require("data.features", self.features, 10 <= self.features <= 100_000, "an integer from 10 to 100000")
        require("data.split_seed", self.split_seed, 0 <= self.split_seed < 2**63, "an integer from 0 to 2**63 - 1")

    def sides(self) -> int:
        """See `SidesConfig.sides`."""
        return len(self.languages) + len(self.sentences)

    def build(self) -> Sides:
        """See `SidesConfig.build`."""
        order = torch.randperm(ITEMS, generator=torch.Generator().manual_seed(self.split_seed)).numpy()
        ends = _FIRST_TRAIN + self.train
        parts = (order[:self.anchors], order[_FIRST_TRAIN:ends], order[ends:])
        labels = groups()
        made = []
        for language in self.languages:
            lines = lines_of(language)
            texts = [[lines[place] for place in part] for part in parts]
            features = CharacterFeatures(texts[1], self.features)
            made.append(_side(language, map(features, texts), parts, labels))
        for language in self.sentences:
            embeddings = sentence_embeddings(lines_of(language))
            made.append(_side(f"{language} {ENCODER_NAME}", (dense(embeddings[part]) for part in parts), parts, labels))
        return Sides(int(labels.max()) + 1, tuple(made))


def _side(name: str, views: Iterable[csr_array], parts: Parts, labels: Labels) -> Side:
    """The network that sees these features of anchors, training and test samples."""
    anchors, train, test = views
    return Side(name, anchors, train, labels[parts[1]], test, labels[parts[2]])


def groups() -> Labels:
    """The class of each emoji, from 0 to 7: smileys, people, animals, food, travel, activities, objects, symbols."""
    codes = np.array([int(line.split()[1]) for line in lines_of("items")])
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def lines_of(name: str) -> list[str]:
    """The line of each emoji in one of the package's own files: the text in a language, or `items`: code and group."""
    return lzma.decompress((FOLDER / f"{name}.txt.xz").read_bytes()).decode("utf-8").split("\n")
