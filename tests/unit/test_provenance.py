"""Provenance: a statement that others can read, which names everything that went in."""

from __future__ import annotations

import json
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from artifacts import an_artifact
from sigstore.dsse import Statement
from values import write

from contain_python.artifacts import describe
from contain_python.attestation import read_statement, verify_provenance
from contain_python.console import Console
from contain_python.errors import CheckError, PackError, RecipeError, SourceError, UsageError
from contain_python.files import sha256
from contain_python.model import Artifact
from contain_python.provenance import UNNAMED, provenance_text, sign
from contain_python.recipe import Recipe
from contain_python.recipe_updates import Provenance

NAME = "python-3.13.15-linux-x86_64-runtime"
BILL = b'{"bomFormat": "CycloneDX"}\n'
BASE = "debian:bookworm-slim@sha256:" + "b" * 64

#: What a manifest has beside what every artifact of these tests has.
MORE: dict[str, Any] = {
    "tool": {"name": "contain-python", "version": "1", "fingerprint": "f" * 64},
    "patches": [{"name": "3.13/01-a.patch", "sha256": "2" * 64}],
    "profile": {"name": "x.profile.tar.zst", "sha256": "3" * 64},
    "packages": ["gcc=4:12.2.0-3"],
    "distribution": {"id": "debian", "version": "12", "codename": "bookworm"},
    "recipe": {"build": {"optimize": "none"}},
    "make": ["make"],
    "source_date_epoch": 1,
}


def published(folder: Path, provenance: Provenance | None = None) -> Path:
    """Return a tarball with manifest, bill of materials and provenance beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    bill = folder / f"{NAME}.cdx.json"
    bill.write_bytes(BILL)
    told = {"name": bill.name, "sha256": sha256(bill), "size": len(BILL)}
    files = {"bin/python3": b"x", f"share/sbom/{bill.name}": BILL}
    release = {
        "version": "3.13.15",
        "filename": "Python-3.13.15.tar.xz",
        "date": "2026-01-02",
        "sha256": "0" * 64,
        "verified": "openpgp",
        "proof": "good signature",
        "superseded": False,
        "superseded_by": "",
    }
    tarball = an_artifact(folder, files, release=release, sbom=told, **MORE)
    manifest = describe(tarball)
    subjects = [manifest.data["tarball"], told, beside(manifest.manifest)]
    recipe = Recipe(provenance=provenance or Provenance())
    write(folder / f"{NAME}.intoto.json", provenance_text(recipe, manifest.data, subjects))
    return tarball


def beside(path: Path) -> dict[str, Any]:
    return {"name": path.name, "sha256": sha256(path)}


def verify(tarball: Path, **options: str) -> None:
    wanted = {"statement": "", "builder": "", "lock": ""} | options
    with chdir(tarball.parent):
        verify_provenance(str(tarball), Console(), **wanted)


def statement_of(tarball: Path) -> dict[str, Any]:
    path = tarball.with_name(f"{NAME}.intoto.json")
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def test_another_implementation_reads_it(tmp_path: Path) -> None:
    """Sigstore's own model of in-toto statements takes it, and finds the tarball in it."""
    tarball = published(tmp_path)
    text = tarball.with_name(f"{NAME}.intoto.json").read_bytes()
    subjects = Statement(text)._inner.subjects
    digests = {subject.name: subject.digest.root["sha256"] for subject in subjects}
    assert digests[tarball.name] == sha256(tarball)
    assert len(digests) == 3


def test_everything_that_went_in(tmp_path: Path) -> None:
    """Source, patch, profile, image and package are dependencies, with what is known of each."""
    found = statement_of(published(tmp_path, Provenance(builder="https://ci.test", image=BASE)))
    definition = found["predicate"]["buildDefinition"]
    rows = {row["name"]: row for row in definition["resolvedDependencies"]}
    assert rows["source"]["uri"].endswith("/3.13.15/Python-3.13.15.tar.xz")
    assert rows["source"]["annotations"] == {"verified": "openpgp", "proof": "good signature"}
    assert rows["patch"]["digest"] == {"sha256": "2" * 64}
    assert rows["PGO profile"]["digest"] == {"sha256": "3" * 64}
    assert rows["base image"] == {
        "name": "base image",
        "uri": "debian:bookworm-slim",
        "digest": {"sha256": "b" * 64},
    }
    assert rows["package"]["uri"] == "pkg:deb/debian/gcc@4:12.2.0-3"
    builder = found["predicate"]["runDetails"]["builder"]
    assert builder["id"] == "https://ci.test"
    assert builder["version"] == {"contain-python": "1"}


def test_no_builder_is_invented(tmp_path: Path) -> None:
    """Without a name in the recipe the builder is somebody, and an image by tag has no digest."""
    found = statement_of(published(tmp_path, Provenance(image="debian:bookworm-slim")))
    assert found["predicate"]["runDetails"]["builder"]["id"] == UNNAMED
    rows = found["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert {"name": "base image", "uri": "debian:bookworm-slim"} in rows


def test_a_good_artifact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything agrees: the files, what went in, the bill inside, the builder that is trusted."""
    tarball = published(tmp_path, Provenance(builder="https://ci.test", image=BASE))
    verify(tarball, builder="https://ci.test")
    out = capsys.readouterr().out
    assert out.count("ok     ") == 7
    assert "WRONG" not in out


@pytest.mark.parametrize("which", ["tar.gz", "json", "cdx.json"])
def test_changed_file(tmp_path: Path, which: str) -> None:
    """A byte more in the tarball, the manifest or the bill of materials is found."""
    tarball = published(tmp_path)
    path = tmp_path / f"{NAME}.{which}"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(CheckError, match="is not what") as caught:
        verify(tarball)
    assert f"{NAME}.{which}" in caught.value.found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda found: found["resolvedDependencies"][0]["digest"].update(sha256="9" * 64),
            "source",
        ),
        (lambda found: found["resolvedDependencies"].pop(), "resolvedDependencies"),
        (lambda found: found["externalParameters"].update(python="3.13.14"), "python"),
        (lambda found: found["internalParameters"].update(compiler="cc"), "compiler"),
    ],
)
def test_statement_that_tells_otherwise(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Any,  # noqa: ANN401  a function
    told: str,
) -> None:
    """A statement that names another source, fewer packages or another compiler is refused."""
    tarball = published(tmp_path)
    found = statement_of(tarball)
    change(found["predicate"]["buildDefinition"])
    write(tmp_path / f"{NAME}.intoto.json", json.dumps(found))
    with pytest.raises(CheckError, match="is not what") as caught:
        verify(tarball)
    assert caught.value.found == "it disagrees on what went in"
    assert told in capsys.readouterr().out


def test_another_builder(tmp_path: Path) -> None:
    """A builder that is not the trusted one is refused."""
    tarball = published(tmp_path, Provenance(builder="https://elsewhere.test"))
    with pytest.raises(CheckError, match="is not what") as caught:
        verify(tarball, builder="https://ci.test")
    assert "the builder" in caught.value.found


def test_another_bill_inside(tmp_path: Path) -> None:
    """A bill of materials inside that is not the one beside it is found."""
    tarball = published(tmp_path)
    data = describe(tarball).data
    row = next(row for row in data["files"] if row["path"].endswith(".cdx.json"))
    row["sha256"] = "0" * 64
    write(tmp_path / f"{NAME}.json", json.dumps(data))
    with pytest.raises(CheckError) as caught:
        verify(tarball)
    assert f"share/sbom/{NAME}.cdx.json" in caught.value.found


def test_lock_that_pins_another_source(tmp_path: Path) -> None:
    """A source that the lock pins otherwise is found; one that it pins alike is told."""
    tarball = published(tmp_path)
    lock = tmp_path / "another.lock"
    entry = (
        'as_of = "2026-01-01"\n[series."3.13"]\nnewest = "3.13.15"\nend_of_life = "2029-10"\n'
        '[[release]]\nversion = "3.13.15"\nfilename = "Python-3.13.15.tar.xz"\nsize = 1\n'
        'sha256 = "{}"\ndate = "2026-01-02"\nverified = "openpgp"\nproof = "x"\n'
    )
    write(lock, entry.format("0" * 64))
    verify(tarball, lock=str(lock))
    write(lock, entry.format("0" * 64).replace("3.13.15", "3.13.14"))
    with pytest.raises(CheckError):
        verify(tarball, lock=str(lock))
    write(lock, entry.format("5" * 64))
    with pytest.raises(CheckError) as caught:
        verify(tarball, lock=str(lock))
    assert "the source" in caught.value.found
    lock.rename(tmp_path / "releases.lock")
    with pytest.raises(CheckError):
        verify(tarball)


@pytest.mark.parametrize("name", ["no-lock-here", "."])
def test_named_lock_that_is_none(tmp_path: Path, name: str) -> None:
    """Whoever names a lock file wants to be asked by it: without it nothing agrees."""
    with pytest.raises(RecipeError, match=r"there is no file|cannot read"):
        verify(published(tmp_path), lock=name)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"_type": 1}', '{"subject": []}', "\x00", '{"predicate": {}}', "[" * 200_000],
)
def test_malformed_statement(tmp_path: Path, text: str) -> None:
    """What is no statement of ours is one clear error."""
    with pytest.raises(SourceError, match="is no provenance of ours"):
        read_statement(write(tmp_path / "a.intoto.json", text))


def test_dependency_with_a_digest_that_is_none(tmp_path: Path) -> None:
    """The statement is blamed for it, not the manifest."""
    tarball = published(tmp_path, Provenance(image=BASE))
    data = statement_of(tarball)
    for row in data["predicate"]["buildDefinition"]["resolvedDependencies"]:
        row["digest"] = ["sha256"]
    path = write(tmp_path / "another.json", json.dumps(data))
    with pytest.raises(SourceError, match="is no provenance of ours"):
        verify(tarball, statement=str(path))


def test_statement_of_other_kinds(tmp_path: Path) -> None:
    """Another predicate, another build type, and digests that are no text are refused."""
    good = statement_of(published(tmp_path))
    for change in (
        {"predicateType": "https://slsa.dev/provenance/v0.2"},
        {"subject": [{"name": "x", "digest": {"sha256": 1}}]},
        {"subject": "x"},
    ):
        with pytest.raises(SourceError, match="is no provenance of ours"):
            read_statement(write(tmp_path / "a.json", json.dumps(good | change)))


def test_manifest_of_an_older_version(tmp_path: Path) -> None:
    """A manifest that lacks what is compared is told as that."""
    tarball = published(tmp_path)
    data = describe(tarball).data
    del data["sbom"], data["distribution"]
    write(tmp_path / f"{NAME}.json", json.dumps(data))
    with pytest.raises(SourceError, match="does not tell what the provenance is compared with"):
        verify(tarball)


@pytest.mark.parametrize("there", [True, False])
def test_another_file_beside_good_papers(tmp_path: Path, there: bool) -> None:
    """The papers of one tarball vouch for no other one."""
    good = published(tmp_path)
    evil = good.with_name(f"{NAME}.tar.xz")
    if there:
        evil.write_bytes(b"evil")
    with pytest.raises(UsageError, match=r"does not describe .*\.tar\.xz"):
        verify(evil)


def test_nothing_there(tmp_path: Path) -> None:
    """A missing statement and a missing word are told."""
    tarball = published(tmp_path)
    (tmp_path / f"{NAME}.intoto.json").unlink()
    with pytest.raises(SourceError, match="there is no provenance"):
        verify(tarball)
    with pytest.raises(UsageError, match="needs a tarball"):
        verify_provenance("", Console(), statement="", builder="", lock="")


def a_published(folder: Path) -> Artifact:
    path = published(folder)
    stem = folder / NAME
    return Artifact(
        kind="runtime",
        path=path,
        sha256=sha256(path),
        size=1,
        unpacked=1,
        manifest=stem.with_name(f"{NAME}.json"),
        sbom=stem.with_name(f"{NAME}.cdx.json"),
        provenance=stem.with_name(f"{NAME}.intoto.json"),
    )


#: Signs a file with a new Ed25519 key, and leaves signature and public key beside it.
SIGN = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
path, key = Path(sys.argv[1]), Ed25519PrivateKey.generate()
Path(f"{path}.sig").write_bytes(key.sign(path.read_bytes()))
Path(f"{path}.key").write_bytes(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
"""


def test_signing_by_others(tmp_path: Path) -> None:
    """The recipe's command signs each statement; the signature is real, and of nothing else."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PublicKey,
    )

    artifact, program = a_published(tmp_path / "dist"), write(tmp_path / "sign.py", SIGN)
    sign(Provenance(sign=(sys.executable, str(program), "{}")), [artifact], tmp_path / "log")
    path = artifact.provenance
    key = Ed25519PublicKey.from_public_bytes(Path(f"{path}.key").read_bytes())
    signature = Path(f"{path}.sig").read_bytes()
    key.verify(signature, path.read_bytes())
    with pytest.raises(InvalidSignature):
        key.verify(signature, path.read_bytes() + b" ")


def test_signing_that_fails(tmp_path: Path) -> None:
    """A command that fails is told with what it said; without one nothing is signed."""
    artifact = a_published(tmp_path / "dist")
    before = sorted(path.name for path in artifact.path.parent.iterdir())
    sign(Provenance(), [artifact], tmp_path / "log")
    fails = (sys.executable, "-c", "raise SystemExit('no key')")
    with pytest.raises(PackError, match="could not be signed") as caught:
        sign(Provenance(sign=fails), [artifact], tmp_path / "log")
    assert "no key" in caught.value.found
    assert sorted(path.name for path in artifact.path.parent.iterdir()) == before
