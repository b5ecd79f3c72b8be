"""Texts as sparse features: TF-IDF of character n-grams within words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

_BLANKS = re.compile(r"\s+")


class CharacterFeatures:
    """TF-IDF of character n-grams, fitted on some texts: the `char_wb` vectorizer of scikit-learn, with log counts.

    A word is padded with a blank on both sides. Counts c become 1 + ln c, times ln((1 + n) / (1 + texts with it)) + 1,
    and rows have the length 1.

    Args:
        texts: on which it is fitted.
        most: n-grams that are kept, those that occur most often; ties in alphabetical order.
        sizes: smallest and largest n.
    """

    def __init__(self, texts: Sequence[str], most: int, sizes: tuple[int, int] = (2, 4)) -> None:
        self._sizes = sizes
        counted = [self._grams(text) for text in texts]
        total: Counter[str] = Counter()
        containing: Counter[str] = Counter()
        for one in counted:
            total.update(one)
            containing.update(one.keys())
        kept = sorted(sorted(total), key=lambda gram: -total[gram])[:most]
        self._places = {gram: place for place, gram in enumerate(sorted(kept))}
        frequency = np.array([containing[gram] for gram in self._places], dtype=np.float64)
        self._weights = np.log((1 + len(texts)) / (1 + frequency)) + 1

    def __call__(self, texts: Sequence[str]) -> csr_array:
        """The features of texts, shape (texts, n-grams)."""
        places: list[int] = []
        values: list[float] = []
        ends = [0]
        for text in texts:
            found = {self._places[gram]: count for gram, count in self._grams(text).items() if gram in self._places}
            columns = sorted(found)
            row = (1 + np.log([found[place] for place in columns])) * self._weights[columns] if columns else np.empty(0)
            places += columns
            values += (row / (np.linalg.norm(row) or 1.0)).tolist()
            ends.append(len(places))
        return csr_array((np.array(values), np.array(places, dtype=np.int64), np.array(ends, dtype=np.int64)),
                         shape=(len(texts), len(self._places)))

    def _grams(self, text: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for word in _BLANKS.sub(" ", text.lower()).split():
            padded = f" {word} "
            for size in range(self._sizes[0], self._sizes[1] + 1):
                # A word that is shorter than n counts once, as a whole.
                found.update(padded[i:i + size] for i in range(max(1, len(padded) - size + 1)))
                if size >= len(padded):
                    break
        return found
