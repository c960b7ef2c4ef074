"""Try everything that a virtual environment has; print what is wrong, by what it is about.

Run by its own Python. Extension modules are imported, entry points are loaded, and each file is
compared with the RECORD of its distribution (PyPA, "Recording installed projects"). What each
distribution requires is told, for whoever asks to judge.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import sys
import sysconfig

SITE = sysconfig.get_path("purelib")
SUFFIXES = tuple(importlib.machinery.EXTENSION_SUFFIXES)


def recorded(problems: dict[str, str]) -> tuple[set[str], int]:
    """Compare every file that a RECORD lists; return the paths of all, and how many had a hash."""
    paths, compared = set(), 0
    for distribution in importlib.metadata.distributions(path=[SITE]):
        text = distribution.read_text("RECORD")
        name = distribution.metadata["Name"]
        if text is None:
            problems[name] = "it has no RECORD"
            continue
        for file, digest, size in csv.reader(text.splitlines()):
            path = os.path.normpath(os.path.join(SITE, file))  # noqa: PTH118
            paths.add(path)
            compared += bool(digest)
            problem = difference(path, digest, size)
            if problem:
                problems[f"{name}: {file}"] = problem
    return paths, compared


def difference(path: str, digest: str, size: str) -> str:
    """Return how a file is not what its RECORD says, "" if it is."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            data = stream.read()
    except OSError as problem:
        return f"it is in RECORD, and not there: {problem.strerror}"
    if not digest:
        return ""
    algorithm, _, wanted = digest.partition("=")
    found = base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest()).rstrip(b"=").decode()
    return (
        "" if (found, str(len(data))) == (wanted, size) else "its RECORD has another hash or size"
    )


def unrecorded(paths: set[str], problems: dict[str, str]) -> None:
    """Find the files that no RECORD lists; byte-code need not be listed, if its source is."""
    for folder, _, names in os.walk(SITE):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118
            if path not in paths and source_of(path) not in paths:
                problems[os.path.relpath(path, SITE)] = "no distribution has it in its RECORD"


def source_of(path: str) -> str:
    """Return the source of byte-code in __pycache__, "" for any other file."""
    try:
        return importlib.util.source_from_cache(path)
    except ValueError:
        return ""


def stamped() -> dict[str, bool]:
    """Return the byte-code that is checked by its source's time (PEP 552), and if that is stale."""
    found = {}
    for path in sorted(pathlib.Path(SITE).rglob("__pycache__/*.pyc")):
        head = path.read_bytes()[:16]
        source = pathlib.Path(source_of(str(path)) or path)
        if source.exists() and not head[4] & 1:
            times = (int(source.stat().st_mtime) & 0xFFFFFFFF, source.stat().st_size & 0xFFFFFFFF)
            told = (int.from_bytes(head[8:12], "little"), int.from_bytes(head[12:16], "little"))
            found[str(path.relative_to(SITE))] = times != told
    return found


def distributions() -> list[dict[str, object]]:
    """Return each distribution with what it requires, as its metadata has it."""
    return [
        {
            "name": one.metadata["Name"] or "",
            "version": one.version or "",
            "requires": one.requires or [],
        }
        for one in importlib.metadata.distributions(path=[SITE])
    ]


def markers() -> dict[str, str]:
    """Return what requirements may ask of a Python (PyPA, "Dependency specifiers")."""
    *numbers, kind, serial = sys.implementation.version
    version = ".".join(map(str, numbers)) + ("" if kind == "final" else f"{kind[0]}{serial}")
    return {
        "os_name": os.name,
        "sys_platform": sys.platform,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "implementation_name": sys.implementation.name,
        "implementation_version": version,
    }


def promised() -> object:
    """Return the wheels that build-venv says it installed, None where it made nothing."""
    try:
        text = pathlib.Path(sys.prefix, "contain-venv.json").read_text(encoding="utf-8")
        return json.loads(text).get("wheels")
    except (OSError, ValueError, AttributeError):
        return None


def extensions(problems: dict[str, str]) -> int:
    """Import every extension module; return how many there are.

    A library without an entry for Python is none.
    """
    found = []
    for path in pathlib.Path(SITE).rglob("*.so"):
        suffix = next((one for one in SUFFIXES if path.name.endswith(one)), "")
        *packages, name = path.relative_to(SITE).parts
        stem = name[: -len(suffix)]
        entries = (b"PyInit_" + stem.encode(), b"PyModExport_" + stem.encode())
        if suffix and any(entry in path.read_bytes() for entry in entries):
            found.append(".".join([*packages, stem]))
    for name in sorted(found):
        try:
            importlib.import_module(name)
        except BaseException as problem:  # noqa: BLE001  whatever it is, it is the answer
            if wants_more(problem):
                continue
            problems[name] = f"does not import: {type(problem).__name__}: {problem}"
    return len(found)


def wants_more(problem: BaseException | None) -> bool:
    """Return whether something failed for a distribution that is not here: it is optional then."""
    while problem is not None:
        if isinstance(problem, ModuleNotFoundError):
            top = (problem.name or "").partition(".")[0]
            return not any(pathlib.Path(SITE).glob(f"{top}*"))
        problem = problem.__cause__ or problem.__context__
    return False


def entry_points(problems: dict[str, str]) -> int:
    """Load what each script calls; return how many scripts there are."""
    scripts = sysconfig.get_path("scripts")
    count = 0
    for distribution in importlib.metadata.distributions(path=[SITE]):
        for entry in distribution.entry_points:
            script = os.path.join(scripts, entry.name)  # noqa: PTH118
            # What a rule removed need not work, nor what needs an extra.
            runs = entry.group in ("console_scripts", "gui_scripts") and not entry.extras
            if not (runs and os.path.exists(script)):  # noqa: PTH110
                continue
            count += 1
            try:
                with open(script, "rb") as stream:  # noqa: PTH123
                    # A long path stands in the second line, behind one for /bin/sh.
                    head = os.fsdecode(stream.readline() + stream.readline())
                if f"{scripts}/python" not in head:
                    problems[entry.name] = f"is run by {head[2:].split()[0]}, not from {scripts}"
                entry.load()
            except BaseException as problem:  # noqa: BLE001
                if wants_more(problem):
                    continue
                problems[entry.name] = f"does not work: {type(problem).__name__}: {problem}"
    return count


def main() -> None:
    """Print the problems, and what was looked at."""
    # What is imported may print.
    sys.stdout = sys.stderr
    problems: dict[str, str] = {}
    told: dict[str, object] = {"examined": ""}
    if sys.prefix != sys.base_prefix:
        paths, compared = recorded(problems)
        unrecorded(paths, problems)
        counts = compared, extensions(problems), entry_points(problems)
        text = "{} files with their RECORD, {} extension modules, {} scripts".format(*counts)
        told = {
            "examined": text,
            "compared": compared,
            "distributions": distributions(),
            "markers": markers(),
            "wheels": promised(),
            "stamped": stamped(),
        }
    print(json.dumps({"problems": problems, **told}), file=sys.__stdout__, flush=True)
    os._exit(0)


main()
