"""Mirrors: where one release may be, for every kind of mirror entry."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers import release_of

from contain_python import mirrors
from contain_python.errors import RecipeError
from contain_python.mirrors import apt_bases, candidates, deb822_bases, one_line_bases, orig_name

FINAL = release_of(version="3.13.15")
PRE = release_of(version="3.15.0rc2")


def urls(*entries: str, version: str = "3.13.15", bases: tuple[str, ...] = ()) -> list[str]:
    """Return where a version is looked for."""
    release = release_of(version=version)
    found = candidates(entries, release, Path("/recipe"), lambda: list(bases))
    return [place.shown for place in found]


def test_python_org() -> None:
    """python.org keeps a release in the directory of its version."""
    assert urls("https://www.python.org/ftp/python") == [
        "https://www.python.org/ftp/python/3.13.15/Python-3.13.15.tar.xz"
    ]


def test_prerelease_on_python_org() -> None:
    """python.org keeps a pre-release in the directory of the final version."""
    assert urls("https://www.python.org/ftp/python/", version="3.15.0rc2") == [
        "https://www.python.org/ftp/python/3.15.0/Python-3.15.0rc2.tar.xz"
    ]


def test_pool() -> None:
    """Every APT base is asked in its pool, once, with a pre-release spelled as Debian does."""
    bases = ("http://mirror.test/debian", "http://mirror.test/debian-security")
    name = "p/python3.15/python3.15_3.15.0~rc2.orig.tar.xz"
    assert urls("apt:", version="3.15.0rc2", bases=(*bases, bases[0])) == [
        f"http://mirror.test/debian/pool/main/{name}",
        f"http://mirror.test/debian-security/pool/updates/main/{name}",
    ]


def test_pool_on_this_machine() -> None:
    """An APT base that is a directory is looked into as one."""
    assert urls("apt:", bases=("file:///srv/my%20mirror",)) == [
        "/srv/my mirror/pool/main/p/python3.13/python3.13_3.13.15.orig.tar.xz"
    ]


def test_no_apt() -> None:
    """A machine without APT has no pool, and that is no error."""
    assert urls("apt:") == []


def test_order_is_kept() -> None:
    """Mirrors are asked in the recipe's order."""
    assert urls("apt:", "https://b.test", bases=("http://a.test",))[1].startswith("https://b.test")


@pytest.mark.parametrize(
    "name",
    ["Python-3.13.15.tar.xz", "3.13.15/Python-3.13.15.tar.xz", "python3.13_3.13.15.orig.tar.xz"],
)
@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_directory(tmp_path: Path, name: str, form: str) -> None:
    """A directory may hold the file under its own name, in python.org's layout, or as Debian's."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert urls(form.format(tmp_path)) == [str(tmp_path / name)]


def test_relative_directory() -> None:
    """A relative directory starts where the recipe is."""
    assert urls("sources") == ["/recipe/sources/Python-3.13.15.tar.xz"]


@pytest.mark.parametrize(
    "entry", ["ftp://old.test/python", "aptt:", "https:", "https://", "https://[x", ""]
)
def test_odd_mirror(entry: str) -> None:
    """A mirror that cannot be one is refused with the kinds there are."""
    with pytest.raises(RecipeError, match="an http or https URL"):
        urls(entry)


def test_odd_mirror_suggestion() -> None:
    """A mistyped kind of mirror gets a suggestion."""
    with pytest.raises(RecipeError, match="did you mean 'https:'"):
        urls("htps://www.python.org/ftp/python")


def test_password_is_not_shown() -> None:
    """A password in a mirror's URL is used, and never shown."""
    (place,) = candidates(("https://me:secret@mirror.test/p",), FINAL, Path())
    assert "secret" in place.url
    assert place.shown == "https://mirror.test/p/3.13.15/Python-3.13.15.tar.xz"


def test_orig_names() -> None:
    """Debian's name of a source follows from the version and the upstream file's format."""
    assert orig_name(FINAL) == "python3.13_3.13.15.orig.tar.xz"
    assert orig_name(PRE) == "python3.15_3.15.0~rc2.orig.tar.xz"
    old = release_of(version="3.11.2")
    object.__setattr__(old, "filename", "Python-3.11.2.tgz")
    assert orig_name(old) == "python3.11_3.11.2.orig.tar.gz"


DEB822 = """\
# written by a test
Types: deb deb-src
URIs: http://one.test/debian
  http://two.test/debian
# a comment inside
Suites: trixie
Components: main

Types: deb-src
URIs: http://sources-only.test/debian
Suites: trixie

Types: deb
Enabled: no
URIs: http://disabled.test/debian
Suites: trixie

types: deb
uris: cdrom:[Debian] file:/srv/mirror
suites: trixie
"""

ONE_LINE = """\
# deb http://commented.test/debian trixie main
deb http://three.test/debian/ trixie main
deb [arch=amd64 signed-by=/usr/share/key.gpg] https://four.test/debian trixie main  # why
deb-src http://sources-only.test/debian trixie main

nonsense
"""


def test_deb822() -> None:
    """The enabled binary sources of a deb822 list are read, continuation lines included."""
    assert deb822_bases(DEB822) == [
        "http://one.test/debian",
        "http://two.test/debian",
        "cdrom:[Debian]",
        "file:/srv/mirror",
    ]


def test_one_line() -> None:
    """The binary sources of a one-line list are read, options skipped."""
    assert one_line_bases(ONE_LINE) == ["http://three.test/debian/", "https://four.test/debian"]


def etc_apt(folder: Path) -> Path:
    """Write a synthetic /etc/apt and return it."""
    (folder / "sources.list.d").mkdir()
    (folder / "sources.list").write_text(ONE_LINE)
    (folder / "sources.list.d" / "debian.sources").write_text(DEB822)
    (folder / "sources.list.d" / "more.list").write_text("deb copy:/media/disk trixie main\n")
    (folder / "sources.list.d" / "off.list.disabled").write_text("deb http://off.test t main\n")
    return folder


def test_sources_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where apt-get tells nothing, the source lists are read, and unusable kinds left out."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert apt_bases(etc_apt(tmp_path)) == [
        "http://three.test/debian",
        "https://four.test/debian",
        "file:/media/disk",
        "http://one.test/debian",
        "http://two.test/debian",
        "file:/srv/mirror",
    ]


def test_what_apt_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What apt-get itself tells counts more than the source lists, each base once."""
    fake = tmp_path / "apt-get"
    fake.write_text("#!/bin/sh\necho http://told.test/debian/\necho http://told.test/debian/\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert apt_bases(etc_apt(tmp_path)) == ["http://told.test/debian"]


def test_machine_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without APT simply has no bases."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert apt_bases(tmp_path / "none") == []


def test_this_machine() -> None:
    """Whatever this machine's APT is, its bases are such as can be fetched from."""
    assert all(base.startswith(("http", "file:")) for base in mirrors.apt_bases())
