from __future__ import annotations

from pathlib import Path

import pytest

from agfrun import OutputError
from agfrun.files.pictures import is_png, read_png
from agfrun.report.figures.style import new_figure, render

PNG = render(new_figure(1, 1), "png")


def test_a_picture_is_one_from_its_first_byte_to_its_last(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(PNG)
    assert read_png(tmp_path / "x.png") == PNG


@pytest.mark.parametrize("content", [
    b"", b"mine", PNG[:8], PNG[:-1], PNG + b"x", PNG + PNG, b"x" + PNG, PNG[:8] + PNG[33:], PNG[:40] + b"x" + PNG[41:],
    PNG[:8] + b"\xff\xff\xff\xff" + PNG[12:], PNG[:-12] + b"mine" + PNG[-12:]])
def test_nothing_else_is(content: bytes, tmp_path: Path) -> None:
    assert not is_png(content)
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(OutputError, match="it is no PNG"):
        read_png(tmp_path / "x.png")


def test_a_picture_elsewhere_is_none_of_the_page_s(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.png").write_bytes(PNG)
    (tmp_path / "plots").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="leads to another place"):
        read_png(tmp_path / "plots" / "x.png")
