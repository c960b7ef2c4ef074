"""Files from elsewhere: whatever stands in one, it is told in a sentence and never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contain_python.attestation import read_statement
from contain_python.errors import ContainError
from contain_python.papers import read_manifest
from contain_python.profiles import read as read_profile
from contain_python.recipe import read_recipe
from contain_python.releases import read_lock
from contain_python.runtime_packages import read_needed
from contain_python.timeline import read_timeline
from contain_python.wheels.model import read_wheelhouse

SHAPES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "list": b"[]",
    "null": b"null",
    "number": b"1",
    "numbers for texts": b'{"format": 1, "kind": 1, "release": 2, "files": 3, "_type": 4}',
    "lists for texts": b'{"format": 1, "kind": [], "release": [], "predicate": [], "as_of": []}',
    "NaN": b'{"format": NaN}',
    "nested": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "key twice": b'{"format": 1, "format": 1}',
    "no UTF-8": b'{"format": "\xff"}',
    "zeros": bytes(1000),
}
#: All that must refuse; each in its own words.
READERS: dict[str, Callable[[Path], object]] = {
    "manifest": read_manifest,
    "needed": read_needed,
    "provenance": read_statement,
    "wheelhouse": read_wheelhouse,
    "profile": read_profile,
    "recipe": read_recipe,
    "lock": read_lock,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_reader_refuses_every_shape(tmp_path: Path, reader: str, shape: str) -> None:
    """What is not what it should be is one of our errors, which says what was found."""
    path = tmp_path / "file"
    path.write_bytes(SHAPES[shape])
    if (reader, shape) == ("recipe", "nothing"):
        # An empty recipe chooses nothing.
        read_recipe(path)
        return
    with pytest.raises(ContainError):
        READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_what_is_no_file(tmp_path: Path, reader: str) -> None:
    """A directory, and a file that is not there, are told too."""
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ContainError):
            READERS[reader](path)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_kept_and_is_damaged_is_made_anew(tmp_path: Path, shape: str) -> None:
    """A record of ours that cannot be read counts as none: what it tells is made once more."""
    (tmp_path / "timeline.json").write_bytes(SHAPES[shape])
    assert read_timeline(tmp_path) == ()
