"""Suites: what a trusted key signed counts, for as long as it says, and nothing else does."""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pysequoia
import pytest
from archives import INDEXES, NOW, Signer, a_date, a_release, an_archive, holding
from pysequoia.packet import PacketPile, Tag
from servers import Handler, plain, serving, status

from contain_python.apt_suites import Suite, bases_and_suites, suite
from contain_python.documents import Shelf
from contain_python.errors import SourceError, ToolchainError
from contain_python.recipe import Download

SIGNER = Signer()


def a_shelf(folder: Path) -> Shelf:
    return Shelf(folder=folder / "shelf", now=NOW, limits=Download(attempts=1))


def look(
    folder: Path,
    content: bytes,
    name: str = "bookworm",
    *,
    keys: Sequence[Path] | None = None,
    now: dt.datetime = NOW,
) -> Suite:
    """Serve an InRelease and read it."""
    trusted = [SIGNER.keyring(folder)] if keys is None else keys
    with serving(plain(content)) as server:
        found = suite(server.url, name, a_shelf(folder), trusted, now, offline=False)
    assert found is not None
    return found


def refused(
    folder: Path, content: bytes, message: str, *, keys: Sequence[Path] | None = None
) -> str:
    """Return what was found wrong; what is refused is not kept either."""
    with pytest.raises(SourceError, match=message) as caught:
        look(folder, content, keys=keys)
    assert not (folder / "shelf").exists()
    assert caught.value.remedy
    return caught.value.found


def test_a_signed_suite_is_read(tmp_path: Path) -> None:
    """A suite has its dates, its name, who signed it and its indexes with size and hash."""
    found = look(tmp_path, SIGNER.sign(a_release(Acquire_By_Hash="yes")))
    assert (found.codename, found.name, found.is_security) == ("bookworm", "bookworm", False)
    assert found.date == NOW - dt.timedelta(days=1)
    assert found.valid_until == NOW + dt.timedelta(days=6)
    assert found.key == SIGNER.public.fingerprint
    assert found.by_hash
    assert set(found.indexes) == {"main/source/Sources.xz", "main/binary-amd64/Packages.xz"}


def test_a_suite_need_not_expire(tmp_path: Path) -> None:
    """Without Valid-Until a release is good for ever, as Ubuntu's of four years ago is."""
    later = NOW + dt.timedelta(days=3650)
    found = look(tmp_path, SIGNER.sign(a_release(Valid_Until="")), now=later)
    assert found.valid_until is None
    assert not found.by_hash


@pytest.mark.parametrize("ending", ["-security", "-updates"])
def test_what_changes_daily_is_of_these_days(tmp_path: Path, ending: str) -> None:
    """Updates without Valid-Until are believed for a month: an old list hides newer fixes."""
    content = SIGNER.sign(a_release(f"bookworm{ending}", Valid_Until=""))
    look(tmp_path, content, f"bookworm{ending}", now=NOW + dt.timedelta(days=28))
    with pytest.raises(SourceError, match="and has no end") as caught:
        look(tmp_path, content, f"bookworm{ending}", now=NOW + dt.timedelta(days=1400))
    assert "30 days" in caught.value.expected


def test_an_older_list_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    """What was seen once is not taken back, and stays what is kept."""
    newer, older = (SIGNER.sign(a_release(Date=a_date(-days))) for days in (1, 3))
    served = [older, newer, older]
    shelf, keys = a_shelf(tmp_path), [SIGNER.keyring(tmp_path)]

    def answer(handler: Handler) -> None:
        plain(served.pop(0))(handler)

    with serving(answer) as server:

        def asked() -> Suite | None:
            return suite(server.url, "bookworm", shelf, keys, NOW, offline=False)

        asked()
        asked()
        with pytest.raises(SourceError, match="is older than it was before") as caught:
            asked()
    assert f"{NOW - dt.timedelta(days=1):%Y-%m-%d}" in caught.value.expected
    (kept,) = (tmp_path / "shelf").glob("apt-*-InRelease")
    assert kept.read_bytes() == newer


def test_security_is_told_by_the_name(tmp_path: Path) -> None:
    """A suite whose name ends with -security holds security updates."""
    content = SIGNER.sign(a_release("bookworm-security"))
    assert look(tmp_path, content, "bookworm-security").is_security


def test_an_archive_may_call_a_suite_by_its_suite(tmp_path: Path) -> None:
    """Both names that an InRelease has for itself are good: codename, and suite."""
    assert look(tmp_path, SIGNER.sign(a_release()), "oldstable").codename == "bookworm"


def test_another_suite_in_its_place_is_refused(tmp_path: Path) -> None:
    """A mirror cannot pass one well signed suite off as another."""
    assert refused(tmp_path, SIGNER.sign(a_release("bullseye")), "is another suite") == (
        "bullseye or oldstable"
    )


def test_tampered_text_is_refused(tmp_path: Path) -> None:
    """One changed letter below the signature of a trusted key, and nothing is believed."""
    content = SIGNER.sign(a_release()).replace(b"Origin: Test", b"Origin: Tess")
    refused(tmp_path, content, "the signature of bookworm of http.* is bad")


@pytest.mark.parametrize("where", ["before", "after", "twice"])
def test_unsigned_text_around_is_not_read(tmp_path: Path, where: str) -> None:
    """What stands before or after the signed text has no say."""
    other = b"Codename: evil\nSuite: evil\nDate: never\nSHA256:\n nothing\n\n"
    signed = SIGNER.sign(a_release())
    content = {
        "before": other + signed,
        "after": signed + b"\n" + other,
        "twice": signed + Signer().sign(a_release("evil")),
    }[where]
    assert look(tmp_path, content).codename == "bookworm"


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """A good signature of somebody else is no signature; who it was is told."""
    found = refused(tmp_path, Signer().sign(a_release()), "signed by no key that is trusted here")
    assert re.search(r"signed by [0-9a-f]{40}", found)


@pytest.mark.parametrize("keys", [[], ["missing.gpg"], ["folder"], ["text.gpg"]])
def test_without_keys_nothing_is_trusted(tmp_path: Path, keys: list[str]) -> None:
    """Keyrings that are missing, no files or no keyrings are passed over: none is left."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.gpg").write_text("hello")
    paths = [tmp_path / key for key in keys]
    refused(tmp_path, SIGNER.sign(a_release()), "no key that is trusted", keys=paths)


@pytest.mark.parametrize("name", ["archive.asc", "archive.gpg"])
def test_keyrings_are_armored_or_binary(tmp_path: Path, name: str) -> None:
    """A keyring is read in both forms, among others, and with several certificates in one."""
    path = SIGNER.keyring(tmp_path, name)
    if path.suffix == ".gpg":
        path.write_bytes(bytes(Signer().public) + path.read_bytes())
    (tmp_path / "broken.gpg").write_bytes(b"\x99\x01")
    keys = [tmp_path / "broken.gpg", Signer().keyring(tmp_path, "other.gpg"), path, path]
    assert look(tmp_path, SIGNER.sign(a_release()), keys=keys).key == SIGNER.public.fingerprint


def test_copies_of_a_certificate_add_up(tmp_path: Path) -> None:
    """A keyring with an old copy, without today's signing key, does not spoil a newer one."""
    packets = list(PacketPile.from_bytes(bytes(SIGNER.public)))
    first_subkey = [packet.tag for packet in packets].index(Tag.PublicSubkey)
    old = tmp_path / "old.gpg"
    old.write_bytes(bytes(pysequoia.Cert.from_packets(packets[:first_subkey])))
    content = SIGNER.sign(a_release())
    new = SIGNER.keyring(tmp_path)
    assert look(tmp_path, content, keys=[new, old]).key == SIGNER.public.fingerprint
    assert look(tmp_path, content, keys=[old, new]).key == SIGNER.public.fingerprint
    (tmp_path / "shelf").rename(tmp_path / "before")
    refused(tmp_path, content, "no key that is trusted", keys=[old])


def test_an_expired_key_is_refused(tmp_path: Path) -> None:
    """The signature of a key that has expired is no good one; renewing the keyring is advised."""
    signer = Signer()
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    old = signer.public.set_expiration(past, signer.secret.certifier())
    (tmp_path / "old.gpg").write_bytes(bytes(old))
    content = signer.sign(a_release())
    refused(tmp_path, content, "the signature of .* is bad", keys=[tmp_path / "old.gpg"])


def test_one_good_signature_of_several_is_enough(tmp_path: Path) -> None:
    """A suite that two keys signed, as Debian's are, is good for who trusts either."""
    other = Signer()
    first, second = (one.sign(a_release()) for one in (other, SIGNER))
    text, beginning, armor = first.partition(b"-----BEGIN PGP SIGNATURE-----")
    signatures = [
        bytes(pysequoia.Sig.from_bytes(one))
        for one in (beginning + armor, second[second.index(beginning) :])
    ]
    both = pysequoia.armor(b"".join(signatures), pysequoia.ArmorKind.Signature)
    content = text + both.encode()
    for signer in (SIGNER, other):
        keys = [signer.keyring(tmp_path)]
        assert look(tmp_path, content, keys=keys).key == signer.public.fingerprint


def test_an_expired_suite_is_refused(tmp_path: Path) -> None:
    """After its Valid-Until a suite is refused, with both dates."""
    found = refused(tmp_path, SIGNER.sign(a_release(Valid_Until=a_date(-0.5))), "has expired")
    assert found == (
        "Valid-Until 2026-11-25 00:00 UTC; this machine's clock says 2026-11-25 12:00 UTC"
    )


def test_a_date_in_the_future_is_refused(tmp_path: Path) -> None:
    """A suite from tomorrow says that the clock is wrong; some minutes are nothing."""
    assert look(tmp_path, SIGNER.sign(a_release(Date=a_date(0.01))))
    with pytest.raises(SourceError, match="is dated in the future") as caught:
        look(tmp_path, SIGNER.sign(a_release(Date=a_date(1))))
    assert caught.value.remedy == "set the clock"


@pytest.mark.parametrize("content", [b"", b"<html>Log in</html>", a_release().encode(), b"\xff\0"])
def test_what_is_not_signed_is_no_inrelease(tmp_path: Path, content: bytes) -> None:
    """A page of a proxy, an unsigned Release, or nothing is told as such."""
    refused(tmp_path, content, "the InRelease of bookworm of http.* is none")


def test_a_truncated_inrelease_is_refused(tmp_path: Path) -> None:
    """Wherever an InRelease ends too early, it is one clear error."""
    whole = SIGNER.sign(a_release())
    for length in range(40, len(whole) - 40, 97):
        with pytest.raises(SourceError, match=r"is bad|is none|no key that is trusted"):
            look(tmp_path, whole[:length])


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"Date": ""}, "no field 'Date'"),
        ({"Date": "yesterday"}, "yesterday"),
        ({"Valid_Until": "soon"}, "soon"),
        ({"Date": "Sat, 11 Jul 99999999999999999999 10:16:37 UTC"}, "is no date"),
        ({"Date": "Fri, 31 Dec 9999 23:00:00 -1400"}, "is no date"),
        ({"SHA256": ""}, "no field 'SHA256'"),
        ({"SHA256": "\n abc 12 main/source/Sources.xz"}, "'abc 12 main/source/Sources.xz' is not"),
        ({"SHA256": f"\n {'a' * 64} -1 main/x"}, "is not a SHA-256, a size and a name"),
        ({"SHA256": f"\n {'a' * 64} 1"}, "values"),
    ],
)
def test_signed_nonsense_is_one_error(tmp_path: Path, fields: dict[str, str], found: str) -> None:
    """A field that is missing or has no sense is named, well signed or not."""
    content = SIGNER.sign(a_release("bookworm", INDEXES, **fields))
    assert found in refused(tmp_path, content, "not as an archive's index should be")


def test_signed_bytes_that_are_no_text(tmp_path: Path) -> None:
    """What is signed and not UTF-8 is refused."""
    content = pysequoia.sign(
        SIGNER.secret.signer(), b"Codename: \xff\n", mode=pysequoia.SignatureMode.CLEAR
    )
    refused(tmp_path, content, "not as an archive's index should be")


def test_a_suite_that_is_not_there(tmp_path: Path) -> None:
    """A mirror, or a directory, without the suite has none; other failures are errors."""
    shelf = a_shelf(tmp_path)
    with serving(status(404)) as server:
        assert suite(server.url, "etch", shelf, [], NOW, offline=False) is None
    assert suite(tmp_path.as_uri(), "etch", shelf, [], NOW, offline=False) is None
    with serving(status(403)) as server, pytest.raises(SourceError, match="cannot fetch"):
        suite(server.url, "etch", shelf, [], NOW, offline=False)


def test_offline_uses_what_was_kept(tmp_path: Path) -> None:
    """Each suite of each base is kept on its own, and verified again when it is used offline."""
    keys, shelf = [SIGNER.keyring(tmp_path)], a_shelf(tmp_path)
    names = ("bookworm", "trixie")
    files = {path: data for name in names for path, data in an_archive(SIGNER, name).items()}
    with serving(holding(files)) as server:
        online = [suite(server.url, name, shelf, keys, NOW, offline=False) for name in names]
    later = replace(shelf, now=NOW + dt.timedelta(hours=1))
    kept = [suite(server.url + "/", name, later, keys, NOW, offline=True) for name in names]
    assert kept == online
    documents = [later.read(path.name) for path in later.folder.glob("*-InRelease")]
    assert [one.fetched for one in documents if one] == [NOW, NOW]
    assert suite(server.url, "sid", shelf, keys, NOW, offline=True) is None
    assert suite("http://127.0.0.1:1", "trixie", shelf, keys, NOW, offline=True) is None
    with pytest.raises(SourceError, match="no key that is trusted"):
        suite(server.url, "trixie", shelf, [], NOW, offline=True)
    with pytest.raises(SourceError, match="has expired"):
        suite(server.url, "trixie", shelf, keys, NOW + dt.timedelta(days=7), offline=True)


def test_what_is_refused_does_not_replace_what_is_kept(tmp_path: Path) -> None:
    """A bad answer leaves the good one that was fetched before."""
    keys, shelf = [SIGNER.keyring(tmp_path)], a_shelf(tmp_path)
    files = an_archive(SIGNER)
    with serving(holding(files)) as server:
        good = suite(server.url, "bookworm", shelf, keys, NOW, offline=False)
        files["/dists/bookworm/InRelease"] = b"gone"
        with pytest.raises(SourceError):
            suite(server.url, "bookworm", shelf, keys, NOW, offline=False)
    assert suite(server.url, "bookworm", shelf, keys, NOW, offline=True) == good


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    """An error names the mirror without the password that its URL holds."""
    with serving(plain(b"x")) as server:
        base = server.url.replace("//", "//user:secret@")
        with pytest.raises(SourceError) as caught:
            suite(base, "bookworm", a_shelf(tmp_path), [], NOW, offline=False)
    assert "secret" not in str(caught.value)


def test_without_the_library_nothing_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pysequoia is not installed, what to install is told."""
    monkeypatch.setitem(sys.modules, "pysequoia", None)
    with pytest.raises(ToolchainError) as caught:
        look(tmp_path, b"", keys=[])
    assert caught.value.expected == "the Python package pysequoia"
    assert "./bootstrap" in caught.value.remedy


def test_where_to_look_for_a_release() -> None:
    """The main archive has a release and its updates, the one of security its security updates."""
    bases = ["https://example.org/debian", "https://example.org/debian-security/"]
    assert bases_and_suites("trixie", bases=lambda: bases) == (
        ("https://example.org/debian", "trixie"),
        ("https://example.org/debian", "trixie-updates"),
        ("https://example.org/debian-security/", "trixie-security"),
    )
    assert bases_and_suites("noble", "ubuntu", lambda: ["https://example.org/ubuntu"]) == (
        ("https://example.org/ubuntu", "noble"),
        ("https://example.org/ubuntu", "noble-updates"),
        ("https://example.org/ubuntu", "noble-security"),
    )
