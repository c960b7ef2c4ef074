"""Hashes are right, on every path: compilers and post-link optimisers have miscompiled them."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

from contain_python.errors import CheckError
from contain_python.findings import Maker, counted
from contain_python.model import CheckResult, Finding
from contain_python.probe import ask
from contain_python.rules import Rules
from contain_python.subject import Subject

_make = Maker(check="hashes")

_ALGORITHMS = (
    *("md5", "sha1", "sha224", "sha256", "sha384", "sha512"),
    *("sha3_224", "sha3_256", "sha3_384", "sha3_512", "shake_128", "shake_256"),
    *("blake2b", "blake2s"),
)
#: Around the sizes of blocks and their padding, and long enough for every vectorised loop.
_LENGTHS = (0, 1, 3, 55, 56, 63, 64, 65, 71, 72, 111, 112, 127, 128, 129, 135, 136, 1000, 100_003)
_SHAKE_BYTES = 33


def check(subject: Subject, rules: Rules) -> CheckResult:
    """Compare digests with those of the Python that runs this tool, by OpenSSL."""
    del rules
    wanted = _expected()
    try:
        request = {"algorithms": list(_ALGORITHMS), "lengths": list(_LENGTHS)}
        found = ask(subject.executable, "hashes", request, cwd=subject.root)
    except CheckError as problem:
        return CheckResult(check="hashes", examined="nothing", findings=(_not_run(problem),))
    findings = tuple(
        _wrong(name, wanted[name.partition(" ")[2]], digests)
        for name, digests in found.items()
        if digests != wanted[name.partition(" ")[2]]
    )
    count = counted(len(found), "implementation")
    return CheckResult(
        check="hashes",
        examined=f"{count} of hashes, each with texts of {len(_LENGTHS)} lengths",
        findings=findings,
    )


def _expected() -> dict[str, list[str]]:
    texts = [bytes(index * 7 % 251 for index in range(length)) for length in _LENGTHS]
    told = {"crc32": [f"{zlib.crc32(text):08x}" for text in texts]}
    for name in _ALGORITHMS:
        states: list[Any] = [hashlib.new(name, text, usedforsecurity=False) for text in texts]
        told[name] = [
            state.hexdigest(_SHAKE_BYTES) if name.startswith("shake") else state.hexdigest()
            for state in states
        ]
    return told


def _wrong(name: str, wanted: list[str], found: list[str]) -> Finding:
    if len(found) != len(wanted):
        # Whether the module was promised is for the check of the modules to say.
        return _make.note("hashlib", f"has no {name}", why=found[0])
    length = next(
        length for length, one, other in zip(_LENGTHS, wanted, found, strict=True) if one != other
    )
    return _make.error(
        f"hashlib, {name}",
        f"hashes {length} bytes wrongly",
        why="the compiler, or BOLT, made other code of it than its source says",
        remedy="build without BOLT, or with another compiler, and report it to them",
    )


def _not_run(problem: CheckError) -> Finding:
    return _make.error(
        "hashlib",
        f"does not run: {problem.found or problem.what}",
        why="no hash can be compared",
        remedy="see what the other checks say",
    )
