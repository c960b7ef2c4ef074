"""Source packages in the signed indexes of this machine's APT archives."""

from __future__ import annotations

from collections.abc import Iterator

from debian.debian_support import Version as DebianVersion

from contain_python import apt_indexes, apt_keys, distribution
from contain_python.apt_indexes import Source, Suite
from contain_python.apt_suites import SUITES
from contain_python.documents import Note, Shelf
from contain_python.errors import ContainError

#: Debian's suites, the most lasting first.
_CODENAMES = ("bookworm", "trixie", "forky", "sid", "bullseye")


def _releases() -> Iterator[tuple[str, str]]:
    """Yield Debian's releases, and this machine's own where it is of another distribution."""
    yield from ((codename, "debian") for codename in _CODENAMES)
    system = distribution.os_release()
    own, codename = system.get("ID", ""), system.get("VERSION_CODENAME", "")
    if own in SUITES and own != "debian" and codename:
        yield codename, own


def archived(
    packages: set[str], shelf: Shelf, note: Note, *, offline: bool
) -> Iterator[tuple[Suite, Source]]:
    """Yield some source packages of each suite that has them; one that cannot be read is noted."""
    for codename, named in _releases():
        for base, name in apt_indexes.bases_and_suites(codename, named):
            try:
                trusted = apt_keys.trusted(base, named)
                suite = apt_indexes.suite(base, name, shelf, trusted, shelf.now, offline=offline)
                if suite is None:
                    continue
                found = apt_indexes.sources(
                    suite, shelf, packages, offline=offline, progress=_quietly
                )
            except ContainError as problem:
                note(f"{problem.what}: {problem.found}")
                continue
            for source in found:
                yield suite, source


def _quietly(_: str) -> None:
    """Tell nothing: that a mirror is asked is no news here."""


def upstream_versions(series: str, shelf: Shelf, note: Note, *, offline: bool) -> tuple[str, ...]:
    """Return the versions of a series that the archives list, as upstream spells them."""
    found = archived({f"python{series}"}, shelf, note, offline=offline)
    return tuple(dict.fromkeys(upstream_version(source) for _, source in found))


def upstream_version(source: Source) -> str:
    """Return the version of a source package as upstream spells it: 3.15.0rc2 of 3.15.0~rc2-1."""
    return (DebianVersion(source.version).upstream_version or "").replace("~", "")
