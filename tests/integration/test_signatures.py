"""The real signature of a real release, from the pool that this machine's APT uses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import requests

from contain_python.errors import SourceError
from contain_python.locking import openpgp
from contain_python.mirrors import apt_bases, orig_name
from contain_python.model import Release, SourceArchive
from contain_python.recipe import read_recipe
from contain_python.releases import read_lock
from contain_python.stages.download import download

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests/data/openpgp/python3.13_3.13.5.orig.tar.xz.asc"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SourceArchive:
    """Return the source of 3.13.5, from the pool."""
    recipe = read_recipe(ROOT / "contain.toml")
    return download(
        replace(recipe, download=replace(recipe.download, mirrors=("apt:",))),
        read_lock(ROOT / "releases.lock").resolve("3.13.5"),
        tmp_path_factory.mktemp("cache"),
        progress=lambda _: None,
        note=lambda _: None,
    )


def signature(release: Release) -> bytes:
    """Return the signature that the pool has beside the source."""
    for base in apt_bases():
        place = f"pool/main/p/python{release.series}/{orig_name(release)}.asc"
        answer = requests.get(f"{base}/{place}", timeout=60)
        if answer.ok:
            return answer.content
    raise AssertionError(apt_bases())


def test_signature_of_a_release(source: SourceArchive) -> None:
    """3.13.5 is what its release manager signed, though his key expired since."""
    made = signature(source.release)
    assert made == KEPT.read_bytes()
    proof = openpgp.verify(source.path, made, source.release.version)
    assert proof.text == (
        "good signature by 7169605F62C751356D054A26A821E680E5FA6305"
        " (Thomas Wouters <thomas@python.org>) of 2025-06-11;"
        " the key expired on 2026-07-02, after it signed"
    )


def test_one_bit_less(source: SourceArchive, tmp_path: Path) -> None:
    """One bit in the middle is enough."""
    content = bytearray(source.path.read_bytes())
    content[len(content) // 2] ^= 1
    tampered = tmp_path / source.path.name
    tampered.write_bytes(content)
    with pytest.raises(SourceError, match="is bad"):
        openpgp.verify(tampered, KEPT.read_bytes(), source.release.version)
