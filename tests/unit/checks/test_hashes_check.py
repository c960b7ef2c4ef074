"""The hashes of a real Python are compared with another's; a wrong one is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from contain_python.checks import hashes
from contain_python.rules import Rules
from contain_python.subject import Subject


def test_a_real_python_hashes_rightly(python: Subject) -> None:
    """Every implementation that it has agrees with this tool's own Python."""
    result = hashes.check(python, Rules())
    assert result.passed, result.findings
    assert "with texts of 19 lengths" in result.examined


def test_a_wrong_digest_is_found(python: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """One algorithm that is wrong for one length is named, with the length."""
    wanted = hashes._expected()
    spoilt = {**wanted, "sha256": [*wanted["sha256"][:14], "0" * 64, *wanted["sha256"][15:]]}
    monkeypatch.setattr(hashes, "_expected", lambda: spoilt)
    result = hashes.check(python, Rules())
    assert not result.passed
    (finding,) = [one for one in result.findings if one.where == "hashlib, default sha256"]
    assert finding.what == "hashes 129 bytes wrongly"


def test_a_python_without_hashlib(python: Subject) -> None:
    """A Python that cannot import hashlib fails, with what it said."""
    broken = python.stdlib / "hashlib.py"
    broken.unlink()
    broken.write_text("raise ImportError('no hashes here')\n", encoding="utf-8")
    for cached in (python.stdlib / "__pycache__").glob("hashlib.*"):
        Path(cached).unlink()
    result = hashes.check(python, Rules())
    assert not result.passed
    assert "no hashes here" in result.findings[0].what
