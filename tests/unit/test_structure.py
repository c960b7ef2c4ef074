"""Structure: plain data into dataclasses and back, and what does not fit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from contain_python.errors import RecipeError
from contain_python.structure import structure, suggestion, unstructure


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A table in a table."""

    word: Literal["one", "two"] = "one"
    place: Path = Path()


@dataclass(frozen=True, kw_only=True)
class Outer:
    """One field of every type that is in use."""

    name: str
    count: int = 0
    seconds: float = 0.0
    loud: bool = False
    maybe: str | None = None
    inner: Inner = field(default_factory=Inner)
    many: tuple[Inner, ...] = ()
    table: dict[str, int] = field(default_factory=dict)


FULL = Outer(
    name="x",
    count=3,
    seconds=1.5,
    loud=True,
    maybe="y",
    inner=Inner(word="two", place=Path("/a/b")),
    many=(Inner(), Inner(word="two")),
    table={"k": 1},
)


def test_there_and_back_again() -> None:
    """A value survives the way through JSON unchanged."""
    data = json.loads(json.dumps(unstructure(FULL)))
    assert structure(Outer, data, "here") == FULL


def test_defaults_fill_what_is_not_given() -> None:
    """A table need not name what has a default."""
    assert structure(Outer, {"name": "x"}, "here") == Outer(name="x")


def test_whole_numbers_are_numbers() -> None:
    """Where seconds are asked for, a whole number will do."""
    seconds = structure(Outer, {"name": "x", "seconds": 3}, "here").seconds
    assert (seconds, type(seconds)) == (3.0, float)


def test_none_is_kept() -> None:
    """An optional value may be absent."""
    assert structure(Outer, {"name": "x", "maybe": None}, "here").maybe is None


@pytest.mark.parametrize(
    ("data", "what", "told"),
    [
        ({"name": "x", "cuont": 1}, "unknown key 'cuont' in here", "did you mean 'count'?"),
        ({"name": "x", "zzzzz": 1}, "unknown key 'zzzzz' in here", "known here: count, inner"),
        ({}, "missing key 'name' in here", "add name = …"),
        ({"name": 1}, "here.name has the wrong type", "a string"),
        ({"name": "x", "count": "3"}, "here.count has the wrong type", "str: '3'"),
        ({"name": "x", "count": True}, "here.count has the wrong type", "bool: True"),
        ({"name": "x", "count": 1.5}, "here.count has the wrong type", "a whole number"),
        ({"name": "x", "seconds": True}, "here.seconds has the wrong type", "a number"),
        ({"name": "x", "loud": 1}, "here.loud has the wrong type", "true or false"),
        ({"name": "x", "maybe": 1}, "here.maybe has the wrong type", "a string"),
        ({"name": "x", "inner": []}, "here.inner has the wrong type", "a table"),
        ({"name": "x", "inner": {"word": "twoo"}}, "here.inner.word cannot be 'twoo'", "'two'"),
        ({"name": "x", "inner": {"wrd": "two"}}, "unknown key 'wrd' in here.inner", "'word'"),
        ({"name": "x", "many": "abc"}, "here.many has the wrong type", "an array"),
        ({"name": "x", "many": [{}, 1]}, "here.many[1] has the wrong type", "a table"),
        ({"name": "x", "table": 1}, "here.table has the wrong type", "a table"),
        ({"name": "x", "table": {"k": "v"}}, "here.table.k has the wrong type", "a whole number"),
        ("text", "here has the wrong type", "a table"),
    ],
)
def test_what_does_not_fit_is_named(data: Any, what: str, told: str) -> None:  # noqa: ANN401
    """Every misfit is one RecipeError that names its place and says what would fit."""
    with pytest.raises(RecipeError) as caught:
        structure(Outer, data, "here")
    assert caught.value.what == what
    assert told in str(caught.value)


def test_suggestion_is_the_nearest_or_all() -> None:
    """A near miss gets one suggestion; a far one gets the list in order."""
    assert suggestion("optimise", ["prefix", "optimize"]) == "did you mean 'optimize'?"
    assert suggestion("qqq", ["b", "a"]) == "known here: a, b"


def test_containers_of_values_are_plain_data() -> None:
    """Tuples, mappings, paths and dataclasses inside one another become JSON-ready."""
    value = {"k": (Inner(place=Path("/p")), [1, None])}
    assert unstructure(value) == {"k": [{"word": "one", "place": "/p"}, [1, None]]}
