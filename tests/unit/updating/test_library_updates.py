"""Newer versions of bundled libraries: upstream's version in Debian's, and which one counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from littles import LITTLE
from toypython import ROOT

from contain_python.bundled.table import Library, read_libraries
from contain_python.updating.finding import libraries, upstream_of
from contain_python.updating.model import Update

STABLE, UPDATES, SECURITY = "trixie", "trixie-updates", "trixie-security"


def newer(
    *offered: tuple[str, bool, str], library: Library = LITTLE, package: str = "little"
) -> Update | None:
    """Return what is newer of one library, if anything is."""
    rows = [(package, version, secure, suite) for version, secure, suite in offered]
    found = list(libraries([library], rows))
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("debian", "upstream"),
    [
        ("3.5.7-1", "3.5.7"),
        ("3.5.7-1~deb13u2", "3.5.7"),
        ("1:1.3.dfsg+really1.3.2-3", "1.3.2"),
        ("1.5.7+dfsg-2", "1.5.7"),
        ("1.5.7+dfsg2-2", "1.5.7"),
        ("2.0~ds1-1", "2.0"),
        ("2.0.repack-1", "2.0"),
        ("1.0.8-6+b1", "1.0.8"),
        ("6.6+20260608-1", "6.6+20260608"),
        ("3.1-20250104-1", "3.1-20250104"),
        ("1.0", "1.0"),
        ("2:9.1~rc1-1", "9.1~rc1"),
    ],
)
def test_upstream_s_version(debian: str, upstream: str) -> None:
    """Epoch, revision and what repacking added are Debian's own."""
    assert upstream_of(debian) == upstream


def test_pre_release_is_no_update() -> None:
    """What comes before a release is not proposed."""
    assert newer(("1.1~rc1-1", False, STABLE)) is None
    found = newer(("1.2~rc1-1", False, STABLE), ("1.1-1", False, STABLE))
    assert found
    assert found.newest == "1.1"


def test_newer_version() -> None:
    """What an archive has newer is told, with its suite and what to do."""
    assert newer(("1.1-1", False, STABLE)) == Update(
        kind="library",
        name="little",
        have="1.0",
        newest="1.1",
        reason="it is in trixie: pin it in libraries.toml",
    )


@pytest.mark.parametrize(
    "version", ["1.0-1", "1:1.0-9+deb13u3", "1.0+dfsg-1", "0.9-1", "1.0~rc1-1"]
)
def test_nothing_newer(version: str) -> None:
    """Another revision, a repacked source and an older version are no update."""
    assert newer((version, True, SECURITY)) is None


def test_another_package() -> None:
    """A newer version of another source package is no update of this one."""
    assert newer(("2.0-1", False, STABLE), package="little2") is None
    assert newer(("2.0-1", False, STABLE), package="little") is not None


def test_newest_of_several() -> None:
    """The newest counts by Debian's order, and security if any newer one is security's."""
    found = newer(("1.2-1", True, SECURITY), ("1.10-1", False, UPDATES), ("1.0-1", False, STABLE))
    assert found
    assert (found.newest, found.security) == ("1.10", True)
    assert "trixie-security" in found.reason
    found = newer(("1.0-1", True, SECURITY), ("1.10-1", False, UPDATES))
    assert found
    assert not found.security
    assert "trixie-updates" in found.reason


def test_series_that_is_followed() -> None:
    """A library that follows a series is not moved out of it."""
    library = replace(LITTLE, version="3.5.6", follows="3.5")
    found = newer(("3.5.7-1", False, STABLE), ("3.6.1-1", False, UPDATES), library=library)
    assert found
    assert found.newest == "3.5.7"
    assert newer(("3.50.1-1", False, STABLE), library=library) is None
    assert newer(("3.6.1-1", False, STABLE), library=replace(library, follows="")) is not None


def test_each_library_for_itself() -> None:
    """Libraries keep the order of the table, and one package may be that of several."""
    other = replace(LITTLE, name="other", version="2.0")
    third = replace(LITTLE, name="third", package="absent")
    found = libraries([other, third, LITTLE], [("little", "3.0-1", False, STABLE)])
    assert [(one.name, one.have, one.newest) for one in found] == [
        ("other", "2.0", "3.0"),
        ("little", "1.0", "3.0"),
    ]


@pytest.mark.parametrize("library", read_libraries(ROOT), ids=lambda library: library.name)
def test_shipped_library_is_up_to_date_with_itself(library: Library) -> None:
    """The shipped version, as Debian writes it, is no update; one that is greater is."""
    file = library.pool.rpartition("/")[2].partition(".orig")[0]
    package, _, debian = file.partition("_")
    assert package == library.package
    assert upstream_of(f"{debian}-1") == library.version
    assert not list(libraries([library], [(package, f"{debian}-1", False, STABLE)]))
    greater = f"{library.follows}.999" if library.follows else "9999"
    assert list(libraries([library], [(package, f"9:{greater}-1", False, STABLE)]))
