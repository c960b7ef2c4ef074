"""Choose and fetch one file for each requirement, and for what these require in turn."""

from __future__ import annotations

import tarfile
import tomllib
import zipfile
from pathlib import Path

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from contain_python.errors import SourceError, UsageError
from contain_python.files import sha256, write_whole
from contain_python.process import Line
from contain_python.wheels import pip
from contain_python.wheels.model import Pin

#: What builds a project that does not say (PEP 517), and how long a pyproject.toml may be.
_USUAL = ("setuptools>=40.8.0",)
_LONGEST = 1 << 20


def fetch(  # noqa: PLR0913  what pip is asked
    python: Path,
    requirements: Path,
    folder: Path,
    *,
    hashes: bool,
    binary: tuple[str, ...],
    log: Path,
    on_line: Line,
) -> tuple[Pin, ...]:
    """Fetch source archives and wheels into an empty folder, as pip resolves the requirements.

    With `hashes` each must have one; `binary` are pip's --no-binary and --only-binary. Raises
    ContainError.
    """
    options = [*binary, *(["--require-hashes"] if hashes else [])]
    words = ("--dest", folder, "--requirement", requirements.resolve())
    said = pip.download(python, *words, *options, log=log, on_line=on_line)
    pins = _pins(folder)
    _refuse_unsaved(said, pins)
    return pins


def _refuse_unsaved(said: tuple[str, ...], pins: tuple[Pin, ...]) -> None:
    """Raise UsageError for what pip resolved and did not save: a directory is no file."""
    start = "Successfully downloaded "
    told = next((line for line in said if line.startswith(start)), start)
    resolved = {canonicalize_name(name) for name in told.removeprefix(start).split()}
    unsaved = sorted(resolved - {pin.name for pin in pins})
    if unsaved:
        raise UsageError(
            f"{', '.join(unsaved)}: a directory cannot be locked",
            expected="a released file, which has a hash",
            remedy="make a source archive of it, python3 -m build --sdist, and name that, or its"
            " directory with PIP_FIND_LINKS",
        )


def fetch_locked(
    python: Path, pins: tuple[Pin, ...], folder: Path, *, log: Path, on_line: Line
) -> tuple[Pin, ...]:
    """Fetch exactly these files. Raises ContainError."""
    locked = log.parent / "locked.txt"
    write_whole(locked, "".join(f"{pin}\n" for pin in pins))
    sources = ",".join(pin.name for pin in pins if not pin.is_wheel)
    binary = (f"--no-binary={sources}",) if sources else ()
    pip.download(
        python,
        *("--dest", folder, "--requirement", locked, "--no-deps", "--require-hashes"),
        *binary,
        log=log,
        on_line=on_line,
    )
    return _pins(folder)


def fetch_for_build(  # noqa: PLR0913  as above
    python: Path,
    requirements: tuple[str, ...],
    folder: Path,
    *,
    offered: tuple[Path, ...],
    log: Path,
    on_line: Line,
) -> tuple[Pin, ...]:
    """Fetch what a build requires, from the index or from the directories that are offered alone.

    Raises ContainError: UsageError by name for what is not offered.
    """
    wanted = folder.parent / "build-requirements.txt"
    write_whole(wanted, "".join(f"{line}\n" for line in requirements))
    only = [word for place in offered for word in ("--find-links", place)]
    words = ("--dest", folder, "--requirement", wanted, *(["--no-index"] if only else []), *only)
    try:
        pip.download(python, *words, log=log, on_line=on_line, alone=bool(offered))
    except SourceError as problem:
        if not offered:
            raise
        raise UsageError(
            "a build requirement has no hash: "
            + problem.what.removeprefix("no file can be had for "),
            expected="each build requirement as name==version --hash=sha256:…, among the"
            " requirements or in --build-requirements FILE",
            found=problem.found,
            remedy="lock them: pip-compile --all-build-deps --only-build-deps --generate-hashes; or"
            " pass --locked wheelhouse.json of an earlier build",
        ) from problem
    return _pins(folder)


def build_requirements_of(archive: Path) -> tuple[str, ...]:
    """Return what a source archive's pyproject.toml says that it is built with (PEP 518)."""
    name = f"{archive.name.removesuffix('.zip').removesuffix('.tar.gz')}/pyproject.toml"
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as opened:
                text = opened.read(name)
        else:
            with tarfile.open(archive) as tar:
                content = tar.extractfile(name)
                text = content.read(_LONGEST) if content else b""
        told = tomllib.loads(text.decode()).get("build-system", {}).get("requires", _USUAL)
    except (OSError, KeyError, ValueError, AttributeError, tarfile.TarError, zipfile.BadZipFile):
        return _USUAL
    return tuple(map(str, told)) if isinstance(told, (list, tuple)) else _USUAL


def _pins(folder: Path) -> tuple[Pin, ...]:
    return tuple(sorted((pin_of(path) for path in folder.iterdir()), key=lambda pin: pin.name))


def pin_of(path: Path) -> Pin:
    """Return the pin of a fetched file. Raises SourceError if its name is no distribution's."""
    try:
        if path.suffix == ".whl":
            name, version, *_ = parse_wheel_filename(path.name)
        else:
            name, version = parse_sdist_filename(path.name)
    except (InvalidSdistFilename, InvalidWheelFilename) as problem:
        raise SourceError(
            f"{path.name} is neither a source archive nor a wheel",
            found=str(problem),
            expected="name-version.tar.gz, or name-version-….whl",
        ) from problem
    return Pin(name=name, version=str(version), filename=path.name, sha256=sha256(path))
