"""The task: a small archive on a real server, real signatures, and the file that is written."""

from __future__ import annotations

import datetime as dt
import io
import json
import tarfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from servers import Handler, serving
from signing import Signer, a_signer
from values import write

from contain_python.console import Console
from contain_python.errors import RecipeError, SourceError, UsageError
from contain_python.locking import archives, openpgp
from contain_python.locking.lock import Wanted, lock
from contain_python.model import Release

NOW = dt.datetime(2026, 11, 25, 6, 0, tzinfo=dt.UTC)
MADE = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
LOCK = """\
# A comment.

as_of = "2026-11-01"

[series."3.13"]
newest = "3.13.15"
end_of_life = "2029-10"
"""


def a_tarball(version: str, when: dt.datetime = MADE, told: str = "") -> bytes:
    """Return a small source tarball, which tells its version as CPython's does."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz") as tar:
        member = tarfile.TarInfo(f"Python-{version}/Include/patchlevel.h")
        content = f'#define PY_VERSION      "{told or version}"\n'.encode()
        member.size, member.mtime = len(content), int(when.timestamp())
        tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@dataclass
class Upstream:
    """A server that stands for python.org, and a project that locks from it."""

    root: Path
    signer: Signer
    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    silent: set[str] = field(default_factory=set)

    def answer(self, handler: Handler) -> None:
        if handler.path in self.silent:
            handler.reply(503, {})
            return
        content = self.files.get(handler.path)
        handler.reply(200 if content is not None else 404, {}, content or b"")

    def release(self, version: str, content: bytes | None = None) -> bytes:
        """Put a release there, with a good signature."""
        content = content or a_tarball(version)
        place = f"/{version}/Python-{version}.tar.xz"
        self.files |= {place: content, f"{place}.asc": self.signer.detached(content)}
        return content

    def tell(self, *versions: str, end_of_life: str = "2029-10") -> None:
        """Let the list of releases, and the cycle of series, be there."""
        rows = [
            {"name": f"Python {one}", "release_date": "2026-11-20T00:00:00Z", "is_published": True}
            for one in versions
        ]
        cycle = {"3.13": {"status": "bugfix", "end_of_life": end_of_life}}
        self.files |= {"/d": json.dumps(rows).encode(), "/c": json.dumps(cycle).encode()}

    def lock(self, now: dt.datetime = NOW, **wanted: Any) -> tuple[Release, ...]:  # noqa: ANN401
        return lock(
            Wanted(
                **{
                    "recipe": str(self.root / "contain.toml"),
                    "cache": str(self.root / "cache"),
                    **wanted,
                }
            ),
            Console(),
            now,
        )

    @property
    def written(self) -> str:
        return (self.root / "releases.lock").read_text(encoding="utf-8")

    @property
    def releases(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = tomllib.loads(self.written).get("release", [])
        return found


@pytest.fixture(scope="module")
def signer() -> Signer:
    return a_signer()


@pytest.fixture
def upstream(tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    made = Upstream(tmp_path, signer)
    table = signer.signers(tmp_path / "keys")
    monkeypatch.setattr(openpgp, "table", lambda: table)
    monkeypatch.setattr(archives, "_CODENAMES", ())
    write(tmp_path / "releases.lock", LOCK)
    with serving(made.answer) as server:
        made.url = server.url
        write(
            tmp_path / "contain.toml",
            f'[download]\nmirrors = ["{server.url}"]\nattempts = 1\n'
            f'[updates.feeds]\ndownloads = "{server.url}/d"\ncycle = "{server.url}/c"\n',
        )
        yield made


def test_a_recipe_without_a_lock_is_told(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock beside the tool is not written in place of the one that is missing here."""
    monkeypatch.chdir(upstream.root)
    (upstream.root / "releases.lock").unlink()
    with pytest.raises(RecipeError, match=f"there is no file {upstream.root}/releases.lock"):
        upstream.lock(python="3.13", recipe="")


def test_newest_of_a_series(upstream: Upstream) -> None:
    """It is found, fetched, verified, pinned with all that is known, and lies in the cache."""
    content = upstream.release("3.13.18")
    upstream.tell("3.13.18", "3.13.15", end_of_life="2029-11-30")
    (release,) = upstream.lock(python="3.13")
    assert (release.version, release.verified, release.date) == ("3.13.18", "openpgp", "2026-11-20")
    assert upstream.written.startswith('# A comment.\n\nas_of = "2026-11-25"\n')
    data = tomllib.loads(upstream.written)
    assert data["series"]["3.13"] == {"newest": "3.13.18", "end_of_life": "2029-11"}
    (entry,) = data["release"]
    assert entry["size"] == len(content)
    assert upstream.signer.fingerprint in entry["proof"]
    assert entry["proof"].endswith("; checked on 2026-11-25")
    assert (upstream.root / "cache/sources/Python-3.13.18.tar.xz").read_bytes() == content
    upstream.files.clear()
    before = upstream.written
    assert upstream.lock(python="3.13", offline=True) == ()
    assert upstream.written == before


def test_dry_run_writes_nothing(upstream: Upstream) -> None:
    """It verifies, and leaves the file as it is."""
    upstream.release("3.13.18")
    assert upstream.lock(python="3.13.18", dry_run=True)[0].verified == "openpgp"
    assert upstream.written == LOCK


def test_without_a_signature(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is pinned that nothing vouches for, unless that is asked for; then it is recorded."""
    upstream.release("3.13.18")
    del upstream.files["/3.13.18/Python-3.13.18.tar.xz.asc"]
    with pytest.raises(
        SourceError, match=r"nothing shows that Python-3\.13\.18\.tar\.xz is"
    ) as caught:
        upstream.lock(python="3.13.18")
    assert "--unverified" in caught.value.remedy
    assert upstream.written == LOCK
    assert not list((upstream.root / "cache/sources").glob("*"))
    (release,) = upstream.lock(python="3.13.18", unverified=True)
    assert release.verified == "unverified"
    assert upstream.releases[0]["verified"] == "unverified"
    assert "unverified: no signature was found" in capsys.readouterr().out


def test_bundle_of_a_series_without_a_key(upstream: Upstream) -> None:
    """It is what counts where both are there; the other alone is refused for want of a key."""
    upstream.release("3.11.18")
    with pytest.raises(SourceError, match=r"no OpenPGP key is known for Python 3\.11"):
        upstream.lock(python="3.11.18")
    upstream.files["/3.11.18/Python-3.11.18.tar.xz.sigstore"] = b'{"truncated'
    with pytest.raises(SourceError, match=r"Sigstore bundle of Python-3\.11\.18"):
        upstream.lock(python="3.11.18")


def test_bad_signature_is_never_unverified(upstream: Upstream) -> None:
    """A signature that is there and does not fit is an error, whatever was asked for."""
    upstream.release("3.13.18")
    upstream.files["/3.13.18/Python-3.13.18.tar.xz"] = a_tarball("3.13.18", MADE - dt.timedelta(1))
    with pytest.raises(SourceError, match="signature"):
        upstream.lock(python="3.13.18", unverified=True)
    assert upstream.written == LOCK


def test_verified_again(upstream: Upstream) -> None:
    """A pin that was unverified becomes verified; one that is as good already stays as it is."""
    upstream.release("3.13.18")
    signature = upstream.files.pop("/3.13.18/Python-3.13.18.tar.xz.asc")
    upstream.lock(python="3.13.18", unverified=True)
    upstream.files["/3.13.18/Python-3.13.18.tar.xz.asc"] = signature
    upstream.lock(python="3.13.18")
    assert upstream.releases[0]["verified"] == "openpgp"
    before = upstream.written
    upstream.lock(python="3.13.18", now=NOW + dt.timedelta(days=3))
    assert upstream.written == before


def test_release_that_changed(upstream: Upstream) -> None:
    """A file that is not the pinned one is refused, though its signature is good."""
    upstream.release("3.13.18")
    upstream.lock(python="3.13.18")
    (upstream.root / "cache/sources/Python-3.13.18.tar.xz").unlink()
    before = upstream.written
    upstream.release("3.13.18", a_tarball("3.13.18", MADE + dt.timedelta(1)))
    with pytest.raises(SourceError, match=r"is not what releases\.lock pins"):
        upstream.lock(python="3.13.18")
    assert upstream.written == before


def test_another_release_under_its_name(upstream: Upstream) -> None:
    """A good signature of an older release is none of this one: a mirror cannot roll back."""
    for content in (a_tarball("3.13.5"), a_tarball("3.13.18", told="3.13.5")):
        upstream.release("3.13.18", content)
        with pytest.raises(SourceError, match=r"what was fetched is not Python 3\.13\.18"):
            upstream.lock(python="3.13.18", unverified=True)
    assert upstream.written == LOCK


def test_signature_that_is_kept_from_us(upstream: Upstream) -> None:
    """A mirror that does not answer for the signature is not one that has none: it is told."""
    upstream.release("3.13.18")
    upstream.silent.add("/3.13.18/Python-3.13.18.tar.xz.asc")
    (release,) = upstream.lock(python="3.13.18", unverified=True)
    assert release.verified == "unverified"
    assert "not looked for at" in release.proof
    assert release.proof.count(".asc") == 1


def test_weaker_proof_replaces_no_stronger_one(upstream: Upstream) -> None:
    """What was verified by a signature stays so, though only less can be shown today."""
    upstream.release("3.13.18")
    upstream.lock(python="3.13.18")
    before = upstream.written
    del upstream.files["/3.13.18/Python-3.13.18.tar.xz.asc"]
    upstream.lock(python="3.13.18", unverified=True)
    assert upstream.written == before


def test_wrong_clock(upstream: Upstream) -> None:
    """A day before what was locked, or before the newest file, is a wrong clock."""
    with pytest.raises(SourceError, match="clock is wrong: it says 2026-10-01"):
        upstream.lock(python="3.13.18", now=dt.datetime(2026, 10, 1, tzinfo=dt.UTC))
    upstream.release("3.13.18", a_tarball("3.13.18", NOW + dt.timedelta(days=3)))
    with pytest.raises(SourceError, match="is from the future"):
        upstream.lock(python="3.13.18")


@pytest.mark.parametrize("content", [b"", b"<html>", a_tarball("3.13.18")[:100]])
def test_no_tarball(upstream: Upstream, content: bytes) -> None:
    """What is no whole tarball is told, before any signature is asked for."""
    upstream.files["/3.13.18/Python-3.13.18.tar.xz"] = content
    with pytest.raises(SourceError, match="is no source tarball"):
        upstream.lock(python="3.13.18")


def test_unknown_versions(upstream: Upstream) -> None:
    """What is no version, a series that nobody knows, and a release that is nowhere are told."""
    with pytest.raises(UsageError, match="is not a Python version"):
        upstream.lock(python="three")
    with pytest.raises(UsageError, match="is not a Python version"):
        upstream.lock(python=f"3.{'9' * 5000}")
    with pytest.raises(UsageError, match="neither a series nor a release"):
        upstream.lock(python="3.13.18.1")
    with pytest.raises(SourceError, match=r"nothing is known of Python 3\.99"):
        upstream.lock(python="3.99")
    with pytest.raises(SourceError, match=r"no mirror has the source of Python 3\.13\.77"):
        upstream.lock(python="3.13.77")


def test_directory_with_signatures(upstream: Upstream) -> None:
    """A directory serves without any network: tarball and signature side by side."""
    content = upstream.release("3.13.18")
    folder = upstream.root / "sources"
    folder.mkdir()
    (folder / "Python-3.13.18.tar.xz").write_bytes(content)
    signature = upstream.files["/3.13.18/Python-3.13.18.tar.xz.asc"]
    (folder / "Python-3.13.18.tar.xz.asc").write_bytes(signature)
    write(upstream.root / "contain.toml", '[download]\nmirrors = ["sources"]\n')
    upstream.files.clear()
    (release,) = upstream.lock(python="3.13.18", offline=True)
    assert release.verified == "openpgp"
