"""A wheelhouse of which a part is missing is refused before anything is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from contain_python.errors import CheckError, ContainError, SourceError
from contain_python.wheels.model import LOCK, Pin, Wheel, Wheelhouse
from contain_python.wheels.wholeness import check_house


def wheel(name: str, digest: str = "a") -> Wheel:
    """Return a published wheel."""
    pin = Pin(name=name, version="1", filename=f"{name}-1-py3-none-any.whl", sha256=digest * 64)
    return Wheel(
        name=name,
        version="1",
        filename=pin.filename,
        sha256=pin.sha256,
        how="published",
        source=pin,
    )


HOUSE = Wheelhouse(
    python="", compiler="", tools=(), platform="", wheels=(wheel("contained-a"), wheel("b"))
)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Write a whole wheelhouse; its wheels hold nothing."""
    for one in HOUSE.wheels:
        (tmp_path / one.filename).touch()
    (tmp_path / LOCK).write_text("".join(f"{one}\n" for one in HOUSE.wheels))
    return tmp_path


def test_whole(house: Path) -> None:
    """Lock, manifest and files that tell the same pass; so does an empty wheelhouse."""
    check_house(house, HOUSE)
    (house / LOCK).write_text("# nothing is required\n")
    check_house(house, Wheelhouse(python="", compiler="", tools=(), platform="", wheels=()))


@pytest.mark.parametrize(
    ("lock", "told"),
    [
        ("", ["contained-a 1 is missing in requirements.lock", "b 1 is missing"]),
        (f"{wheel('b')}\n", ["contained-a 1 is missing in requirements.lock"]),
        (f"{wheel('contained-a')}\n{wheel('b', 'c')}\n", ["b is 1", "with another hash"]),
        (
            f"{wheel('contained-a')}\n{wheel('b')}\n{wheel('more')}\n",
            ["more 1 is missing in wheelhouse.json"],
        ),
        (f"{wheel('contained-a')}\nb==1\n", ["'b==1' in requirements.lock is no line of"]),
    ],
)
def test_lock_that_tells_something_else(house: Path, lock: str, told: list[str]) -> None:
    """Each distribution in question is named."""
    (house / LOCK).write_text(lock)
    with pytest.raises(CheckError) as raised:
        check_house(house, HOUSE)
    for text in told:
        assert text in raised.value.found
    assert "build-wheels again" in raised.value.remedy


def test_no_lock(house: Path) -> None:
    """A wheelhouse without its lock is told as that."""
    (house / LOCK).unlink()
    with pytest.raises(CheckError) as raised:
        check_house(house, HOUSE)
    assert "requirements.lock cannot be read: No such file" in raised.value.found


def test_wheel_that_is_not_there(house: Path) -> None:
    """The wheel is named, and no index is blamed."""
    (house / "b-1-py3-none-any.whl").unlink()
    with pytest.raises(SourceError) as raised:
        check_house(house, HOUSE)
    problem: ContainError = raised.value
    assert problem.what == f"b-1-py3-none-any.whl: not in {house}"
    assert "index" not in str(problem)
