"""Where source packages are looked for: Debian's suites, and those of this machine."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from contain_python import apt_indexes, apt_keys, distribution
from contain_python.documents import Shelf
from contain_python.locking.archives import archived


@pytest.mark.parametrize(
    ("system", "more"),
    [
        ({"ID": "ubuntu", "VERSION_CODENAME": "noble"}, ["ubuntu noble"]),
        ({"ID": "debian", "VERSION_CODENAME": "bookworm"}, []),
        ({"ID": "alpine"}, []),
    ],
)
def test_suites_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: dict[str, str], more: list[str]
) -> None:
    """On Ubuntu its own suites are looked into as well, after Debian's."""
    seen: list[str] = []
    monkeypatch.setattr(distribution, "os_release", lambda: system)
    monkeypatch.setattr(apt_keys, "trusted", lambda *_: ())
    monkeypatch.setattr(apt_indexes, "suite", lambda _, name, *__, **___: seen.append(name))
    monkeypatch.setattr(
        apt_indexes, "bases_and_suites", lambda code, named: [("http://a.test/", f"{named} {code}")]
    )
    shelf = Shelf(folder=tmp_path, now=dt.datetime(2026, 11, 25, tzinfo=dt.UTC))
    assert not list(archived({"python3.12"}, shelf, print, offline=False))
    assert seen[0] == "debian bookworm"
    assert [name for name in seen if not name.startswith("debian ")] == more
