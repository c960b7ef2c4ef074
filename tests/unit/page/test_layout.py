"""The report's pictures: boxes that fill their frame, and an axis on which ratios stand right."""

from __future__ import annotations

import pytest

from contain_python.components import File
from contain_python.page.layout import Axis, axis, treemap


def a_file(path: str, size: int) -> File:
    return File(path=path, size=size, sha256="0")


FILES = (
    a_file("bin/python3.13", 7000),
    a_file("lib/python3.13/json/__init__.py", 500),
    a_file("lib/python3.13/json/decoder.py", 300),
    a_file("lib/python3.13/ast.py", 900),
    a_file("lib/python3.13/json/__pycache__/decoder.cpython-313.pyc", 400),
    a_file("lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", 1000),
    *(a_file(f"lib/python3.13/tiny{number}.py", 1) for number in range(5)),
)


def test_boxes_fill_the_frame() -> None:
    """Each box has the area of its share, and together they are the whole."""
    boxes = treemap(FILES)
    total = sum(file.size for file in FILES)
    assert sum(box.size for box in boxes) == total
    for box in boxes:
        assert box.width * box.height == pytest.approx(10000 * box.size / total, rel=0.01)
        assert sum(inner.size for inner in box.inside) == box.size
        assert sum(inner.width * inner.height for inner in box.inside) == pytest.approx(
            10000, rel=0.01
        )


def test_directories_are_boxes_and_the_smallest_are_one() -> None:
    """Files of a package stand together under its name, and crumbs under their number."""
    names = {box.name: [inner.name for inner in box.inside] for box in treemap(FILES)}
    assert names["standard library"] == ["ast", "json", "5 more"]
    assert names["byte-code"] == ["json"]
    assert names["extension modules"] == ["_ssl"]
    assert names["interpreter"] == ["python3.13"]


def test_nothing_has_no_boxes() -> None:
    """An artifact without files is an empty frame."""
    assert treemap(()) == ()
    assert treemap([a_file("empty", 0)]) == ()


def test_the_axis_is_logarithmic() -> None:
    """Twice as fast and half as fast stand equally far from the same."""
    scale = Axis(low=0.25, high=4.0)
    assert scale.place(1.0) == 50.0
    assert scale.place(2.0) - 50.0 == pytest.approx(50.0 - scale.place(0.5))
    assert scale.place(0.01) == 0.0
    assert scale.place(99.0) == 100.0


@pytest.mark.parametrize("ratios", [[], [1.0], [0.5, 0.9], [1.1, 12.0], [0.3, 30.0]])
def test_every_axis_shows_what_is_the_same(ratios: list[float]) -> None:
    """1.0 is always marked, there are few marks, and every ratio has its place."""
    scale = axis(ratios)
    marks = [mark for mark, _ in scale.marks]
    assert 1.0 in marks
    assert len(marks) <= 8
    assert all(0 < scale.place(ratio) < 100 for ratio in ratios)
