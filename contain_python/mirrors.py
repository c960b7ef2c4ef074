"""Turn the mirrors of a recipe into the places where one release may be found, in order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from contain_python import process
from contain_python.errors import ContainError, RecipeError, SourceError
from contain_python.model import Release
from contain_python.secret_urls import without_secrets
from contain_python.structure import suggestion

_APT = Path("/etc/apt")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_KNOWN = ("https:", "http:", "file:", "apt:")
#: And where a library's source may be besides.
_UPSTREAM = "upstream:"

#: "deb [options] URI suite components…", the older of APT's two formats.
_ONE_LINE = re.compile(r"\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+\S+")

Bases = Callable[[], list[str]]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One place where a release may be: a URL, or else a local file."""

    url: str = ""
    path: Path | None = None
    looked_for: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Return the place for reading, without a password that its URL may hold."""
        if self.path is not None:
            return str(self.path)
        return without_secrets(self.url)


def candidates(
    mirrors: tuple[str, ...], release: Release, root: Path, bases: Bases | None = None
) -> list[Candidate]:
    """Return the places to try in order; `root` is where relative directories start.

    `bases` gives the base URIs that "apt:" stands for. Raises RecipeError for an odd mirror.
    """
    found: list[Candidate] = []
    for mirror in mirrors:
        if mirror == "apt:":
            found += [_in_pool(base, release) for base in (bases or apt_bases)()]
        else:
            found.append(_in_mirror(mirror, release, root))
    return list(dict.fromkeys(found))


def library_candidates(
    mirrors: tuple[str, ...],
    url: str,
    pool: str,
    root: Path,
    bases: Bases | None = None,
) -> list[Candidate]:
    """Return the places to try for a library's source, in order.

    `url` is upstream's file, `pool` the one below a Debian archive's pool/main; either may be "".
    Raises RecipeError for an odd mirror.
    """
    names = tuple(unquote(place.rpartition("/")[2]) for place in (url, pool) if place)
    found: list[Candidate] = []
    for mirror in mirrors:
        if mirror == _UPSTREAM:
            found += [Candidate(url=url)] if url else []
        elif mirror == "apt:":
            found += [_below_pool(base, pool) for base in (bases or apt_bases)()] if pool else []
        else:
            found.append(_of_mirror(mirror, names, names[0], root, (*_KNOWN, _UPSTREAM)))
    return list(dict.fromkeys(found))


def orig_name(release: Release) -> str:
    """Return what Debian calls the source: python3.15_3.15.0~rc2.orig.tar.xz."""
    version = re.sub(r"(a|b|rc)(\d+)$", r"~\1\2", release.version)
    ending = "tar.gz" if release.filename.endswith(".tgz") else "tar.xz"
    return f"python{release.series}_{version}.orig.{ending}"


def _in_mirror(mirror: str, release: Release, root: Path) -> Candidate:
    place = f"{release.parsed.base_version}/{release.filename}"
    return _of_mirror(mirror, (release.filename, place, orig_name(release)), place, root)


def _of_mirror(
    mirror: str,
    names: tuple[str, ...],
    place: str,
    root: Path,
    known: tuple[str, ...] = _KNOWN,
) -> Candidate:
    """Return where a server has a file, at `place`, or a directory, by one of `names`."""
    scheme = _SCHEME.match(mirror)
    kind = scheme[1].lower() if scheme else "directory"
    if kind in ("http", "https") and _has_host(mirror):
        return Candidate(url=f"{mirror.rstrip('/')}/{quote(place)}")
    if kind == "file":
        return _in_directory(root / _file_path(mirror), names)
    if kind == "directory" and mirror:
        return _in_directory(root / mirror, names)
    raise RecipeError(
        f"the mirror {without_secrets(mirror)!r} cannot be used",
        expected="an http or https URL, a file: URL, a directory, "
        + " or ".join(one for one in known if one in ("apt:", _UPSTREAM)),
        remedy=suggestion(f"{kind}:", list(known)),
    )


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _in_directory(directory: Path, names: tuple[str, ...]) -> Candidate:
    there = next((name for name in names if (directory / name).is_file()), names[0])
    return Candidate(path=directory / there, looked_for=names)


def _in_pool(base: str, release: Release) -> Candidate:
    return _below_pool(base, f"p/python{release.series}/{orig_name(release)}")


def _below_pool(base: str, path: str) -> Candidate:
    # Debian's security archive keeps its pool one level further down.
    folder = "pool/updates/main" if base.rstrip("/").endswith("-security") else "pool/main"
    place = f"{folder}/{path}"
    if base.startswith("file:"):
        return Candidate(path=_file_path(base) / place, looked_for=(place,))
    return Candidate(url=f"{base.rstrip('/')}/{quote(place)}")


def _file_path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def apt_bases(etc: Path = _APT) -> list[str]:
    """Return the base URIs of this machine's APT configuration; none where there is no APT."""
    bases = _asked_of_apt() or _read_from_sources(etc)
    usable = [base.replace("copy:", "file:", 1) for base in bases]
    return list(
        dict.fromkeys(
            base.rstrip("/") for base in usable if base.startswith(("http:", "https:", "file:"))
        )
    )


def _asked_of_apt() -> list[str]:
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    try:
        return process.output(command, error=SourceError).split()
    except ContainError:
        return []


def _read_from_sources(etc: Path) -> list[str]:
    """Read the source lists themselves: apt-get tells nothing before its first update."""
    parts = etc / "sources.list.d"
    found: list[str] = []
    for path in [etc / "sources.list", *sorted(parts.glob("*.list"))]:
        found += one_line_bases(_text(path))
    for path in sorted(parts.glob("*.sources")):
        found += deb822_bases(_text(path))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def one_line_bases(text: str) -> list[str]:
    """Return the URIs of the binary sources in a one-line source list."""
    matches = (_ONE_LINE.match(line) for line in text.splitlines())
    return [match[1] for match in matches if match]


def deb822_bases(text: str) -> list[str]:
    """Return the URIs of the enabled binary sources in a deb822 source list."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found: list[str] = []
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = _fields(stanza)
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0", "off", "without")
        if enabled and "deb" in fields.get("types", "").split():
            found += fields.get("uris", "").split()
    return found


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields
