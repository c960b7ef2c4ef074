"""The table of bundled libraries: what it must say, and that the shipped one says it."""

from __future__ import annotations

from pathlib import Path

import pytest
from littles import LITTLE, TOOLS, row_of, write_table
from toypython import ROOT
from values import a_release, write

from contain_python.bundled import building
from contain_python.bundled.table import NAME, Library, Source, libraries_for, read_libraries
from contain_python.errors import RecipeError

SHIPPED = read_libraries(ROOT)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """A row is read as it stands, in the order of the file, with what it leaves out."""
    other = {**row_of(LITTLE), "name": "other", "repacked": {"size": 7, "sha256": "a" * 64}}
    first, second = read_libraries(write_table(tmp_path, LITTLE, other))
    assert first == LITTLE
    assert (second.name, second.repacked) == ("other", Source(size=7, sha256="a" * 64))


def test_libraries_of_a_release(tmp_path: Path) -> None:
    """A library is for the series that it names, pre-releases of it included."""
    newer = {**row_of(LITTLE), "name": "newer", "series": ">=3.14"}
    root = write_table(tmp_path, LITTLE, newer)
    names = {
        version: [one.name for one in libraries_for(root, a_release(version))]
        for version in ("3.13.15", "3.14.0", "3.15.0rc2")
    }
    assert names == {
        "3.13.15": ["little"],
        "3.14.0": ["little", "newer"],
        "3.15.0rc2": ["little", "newer"],
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sha256": "A" * 64}, "malformed"),
        ({"sha256": "0" * 63}, "malformed"),
        ({"size": 0}, "malformed"),
        ({"size": -1}, "malformed"),
        ({"repacked": {"size": 1, "sha256": ""}}, "found:    1, nothing"),
        ({"url": "", "pool": ""}, "has no source"),
        ({"repacked": {"size": 1, "sha256": "0" * 64}, "url": ""}, "has a repacked source"),
        ({"repacked": {"size": 1, "sha256": "0" * 64}, "pool": ""}, "has a repacked source"),
        ({"keep": {"/lib": ["x"]}}, "keeps '/lib'"),
        ({"keep": {"lib/../..": ["x"]}}, "keeps 'lib/../..'"),
        ({"keep": {"lib": ["/etc/passwd"]}}, "keeps '/etc/passwd'"),
        ({"texts": ["../../etc/passwd"]}, "keeps '../../etc/passwd'"),
        ({"name": "../little"}, "has no name"),
        ({"version": ""}, "or no version"),
        ({"purl": "little"}, "purl is no package URL"),
        ({"make": [[]]}, "is made by nothing"),
        ({"series": "3.14 and later"}, "is not a version specifier"),
        ({"keeps": {}}, "did you mean 'keep'?"),
        ({"size": "1"}, "wrong type"),
    ],
)
def test_wrong_row(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    """Each mistake in a row is refused with what is wrong."""
    assert read_libraries(write_table(tmp_path, row_of(LITTLE)))
    write_table(tmp_path, {**row_of(LITTLE), **changes})
    with pytest.raises(RecipeError) as caught:
        read_libraries(tmp_path)
    assert told in str(caught.value)


def test_missing_key(tmp_path: Path) -> None:
    """A row without what it must say is refused."""
    row = row_of(LITTLE)
    del row["licence"]
    with pytest.raises(RecipeError, match="missing key 'licence'"):
        read_libraries(write_table(tmp_path, row))


def test_library_that_stands_there_twice(tmp_path: Path) -> None:
    """Two rows of one name are refused."""
    with pytest.raises(RecipeError, match="has little twice"):
        read_libraries(write_table(tmp_path, LITTLE, LITTLE))


@pytest.mark.parametrize("rows", [("user",), ("user", "little")])
def test_need_that_is_not_built_before(tmp_path: Path, rows: tuple[str, ...]) -> None:
    """A library that needs what is not there, or comes later, is refused."""
    known = {"little": row_of(LITTLE), "user": {**row_of(LITTLE), "name": "user"}}
    known["user"]["needs"] = ["little"]
    assert read_libraries(write_table(tmp_path, known["little"], known["user"]))
    with pytest.raises(RecipeError):
        read_libraries(write_table(tmp_path, *(known[name] for name in rows)))


def test_no_table(tmp_path: Path) -> None:
    """A directory without the table, and one with a damaged one, are told so."""
    with pytest.raises(RecipeError, match="there is no file"):
        read_libraries(tmp_path)
    write(tmp_path / NAME, "[[library")
    with pytest.raises(RecipeError, match="not valid TOML"):
        read_libraries(tmp_path)


def test_shipped_table_has_what_modules_need() -> None:
    """The shipped table bundles what the standard library's modules are linked with."""
    names = {library.name for library in SHIPPED}
    assert {"openssl", "zlib", "bzip2", "xz", "zstd", "libffi", "sqlite", "ncurses"} <= names


@pytest.mark.parametrize("library", SHIPPED, ids=lambda library: library.name)
def test_shipped_row(library: Library, tmp_path: Path) -> None:
    """Each shipped row has a licence with its text, keeps a library and a header, and is named."""
    assert library.licence
    assert library.texts
    assert any(pattern.endswith(".a") for pattern in library.keep["lib"])
    assert any(place.startswith("include") for place in library.keep)
    assert library.purl.format(version="1").startswith("pkg:")
    assert library.package
    values = building._values(library, TOOLS, source=tmp_path, root=tmp_path, jobs=2)
    words = (*library.configure, *(word for words in library.make for word in words))
    for word in (*words, *library.environment.values()):
        assert "{" not in building._filled(word, values)
    assert all("{" not in word for word in building.configure_words(library, "/root"))


def test_shipped_rows_come_after_what_they_need() -> None:
    """What a library needs is built before it, for every release that uses it."""
    seen: dict[str, Library] = {}
    for library in SHIPPED:
        assert set(library.needs) <= seen.keys()
        assert all(seen[name].series in ("", library.series) for name in library.needs)
        seen[library.name] = library


def test_unknown_placeholder_would_be_found(tmp_path: Path) -> None:
    """A placeholder that the builder does not know is refused, with those that it knows."""
    values = building._values(LITTLE, TOOLS, source=tmp_path, root=tmp_path, jobs=2)
    with pytest.raises(RecipeError, match=r"nothing is called \{prefix\}") as caught:
        building._filled("--prefix={prefix}", values)
    assert "{root}" in caught.value.expected
