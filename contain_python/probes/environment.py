"""Try everything that a virtual environment has; print what is wrong, by what it is about.

Run by its own Python. Extension modules are imported, entry points are loaded, and each file is
compared with the RECORD of its distribution (PyPA, "Recording installed projects").
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
import sys
import sysconfig

SITE = sysconfig.get_path("purelib")
SUFFIXES = tuple(importlib.machinery.EXTENSION_SUFFIXES)


def recorded(problems: dict[str, str]) -> set[str]:
    """Compare every file that a RECORD lists; return the paths of all of them."""
    paths = set()
    for distribution in importlib.metadata.distributions(path=[SITE]):
        text = distribution.read_text("RECORD")
        name = distribution.metadata["Name"]
        if text is None:
            problems[name] = "it has no RECORD"
            continue
        for file, digest, size in csv.reader(text.splitlines()):
            path = os.path.normpath(os.path.join(SITE, file))  # noqa: PTH118
            paths.add(path)
            problem = difference(path, digest, size)
            if problem:
                problems[f"{name}: {file}"] = problem
    return paths


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


def extensions(problems: dict[str, str]) -> int:
    """Import every extension module; return how many there are.

    A library without an entry for Python is none.
    """
    found = []
    for path in pathlib.Path(SITE).rglob("*.so"):
        suffix = next((one for one in SUFFIXES if path.name.endswith(one)), "")
        *packages, name = path.relative_to(SITE).parts
        stem = name[: -len(suffix)]
        if suffix and b"PyInit_" + stem.encode() in path.read_bytes():
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
    told = ""
    if sys.prefix != sys.base_prefix:
        paths = recorded(problems)
        unrecorded(paths, problems)
        counts = len(paths), extensions(problems), entry_points(problems)
        told = "{} files with their RECORD, {} extension modules, {} scripts".format(*counts)
    print(json.dumps({"problems": problems, "examined": told}), file=sys.__stdout__, flush=True)
    os._exit(0)


main()
