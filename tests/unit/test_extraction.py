"""Extraction: good archives come out whole; hostile and damaged ones leave nothing behind."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from values import names

from contain_python import extraction
from contain_python.errors import SourceError
from contain_python.extraction import extract, open_tar

OUTSIDE = "precious"

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gz": lambda data: gzip.compress(data, mtime=0),
    "xz": lzma.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644
) -> tarfile.TarInfo:
    """Return a header; regular files hold their own name."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, link, mode, 1000
    if kind == tarfile.REGTYPE:
        info.size = len(name.encode())
    return info


def folder(name: str) -> tarfile.TarInfo:
    return member(name, tarfile.DIRTYPE, mode=0o755)


def symlink(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, target)


def hardlink(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.LNKTYPE, target, mode=0o755)


def tar_bytes(members: list[tarfile.TarInfo]) -> bytes:
    """Return a tar with exactly these headers."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(info.name.encode()) if info.isreg() else None)
    return raw.getvalue()


def refused(tmp_path: Path, members: list[tarfile.TarInfo]) -> str:
    """Return why an archive is refused, having seen that nothing was written anywhere."""
    archive = tmp_path / "hostile.tar"
    archive.write_bytes(tar_bytes([member("harmless"), *members]))
    target = tmp_path / "in/target"
    target.mkdir(parents=True)
    (tmp_path / "in" / OUTSIDE).write_text("precious", encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        extract(archive, target)
    assert names(target) == []
    assert names(tmp_path) == ["hostile.tar", "in"]
    assert names(tmp_path / "in") == [OUTSIDE, "target"]
    assert caught.value.what == "refusing to extract hostile.tar"
    return caught.value.found


HOSTILE = {
    "absolute": ([member("/etc/x")], "an absolute name"),
    "parent": ([member("../x")], "a name with '..'"),
    "parent-inside": ([member("a/../../x")], "a name with '..'"),
    "parent-harmless": ([folder("a"), member("a/../x")], "a name with '..'"),
    "absolute-link": ([symlink("a", "/etc")], "a link that may leave"),
    "climbing-link": ([symlink("a", "../x")], "a link that may leave"),
    "climbing-deeper": ([symlink("d/a", "../../x")], "a link that may leave"),
    "chained-link": (
        [folder("x"), symlink("x/y", "."), symlink("a", "x/y/..")],
        "a link that may leave",
    ),
    "chained-climb": ([symlink("a/b", "c/../../x")], "a link that may leave"),
    "write-through-link": ([folder("d"), symlink("a", "d"), member("a/x")], "through a link"),
    "link-through-link": ([folder("d"), symlink("a", "d"), symlink("a/b", "x")], "through a link"),
    "folder-through-link": ([folder("d"), symlink("a", "d"), folder("a/b")], "through a link"),
    "below-a-file": ([member("a"), member("a/b")], "through a link"),
    "hard-link-out": ([hardlink("a", f"../{OUTSIDE}")], "no earlier regular member"),
    "hard-link-absolute": ([hardlink("a", "/etc/passwd")], "no earlier regular member"),
    "hard-link-missing": ([hardlink("a", "b")], "no earlier regular member"),
    "hard-link-later": ([hardlink("a", "b"), member("b")], "no earlier regular member"),
    "hard-link-to-symlink": (
        [symlink("s", "harmless"), hardlink("a", "s")],
        "no earlier regular member",
    ),
    "hard-link-to-folder": ([folder("d"), hardlink("a", "d")], "no earlier regular member"),
    "hard-link-through-link": (
        [folder("d"), member("d/x"), symlink("s", "d"), hardlink("a", "s/x")],
        "no earlier regular member",
    ),
    "character-device": ([member("a", tarfile.CHRTYPE)], "a device"),
    "block-device": ([member("a", tarfile.BLKTYPE)], "a device"),
    "fifo": ([member("a", tarfile.FIFOTYPE)], "a device or another special file"),
    "setuid": ([member("a", mode=0o4755)], "a set-user-id"),
    "setgid": ([member("a", mode=0o2755)], "set-group-id"),
    "twice": ([member("a"), member("a")], "it stands there twice"),
    "twice-spelt-otherwise": ([member("d/a"), member("./d//a")], "it stands there twice"),
    "file-then-link": ([member("a"), symlink("a", "b")], "it stands there twice"),
    "link-then-file": ([symlink("a", "harmless"), member("a")], "it stands there twice"),
    "folder-then-file": ([folder("a"), member("a")], "it stands there twice"),
    "link-then-folder": ([symlink("a", "."), folder("a")], "it stands there twice"),
    "folder-on-the-way-then-link": ([member("a/b"), symlink("a", "c")], "that of a directory"),
    "folder-on-the-way-then-file": ([member("a/b/c"), member("a/b")], "that of a directory"),
    "file-as-top": ([member(".")], "that of a directory"),
    "link-as-top": ([symlink(".", "x")], "a link that may leave"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_member_is_refused_before_anything_is_written(tmp_path: Path, case: str) -> None:
    """Each kind of hostile member is named, and not even the harmless one before it is written."""
    members, reason = HOSTILE[case]
    assert reason in refused(tmp_path, members)


@pytest.mark.parametrize("time", ["inf", "-inf", "nan", "1e30"])
def test_impossible_times_are_refused(tmp_path: Path, time: str) -> None:
    """No file has an endless time."""
    info = member("a")
    info.pax_headers = {"mtime": time}
    assert "an impossible size or time" in refused(tmp_path, [info])


@pytest.mark.parametrize("size", [-512, -1024, -(10**12)])
def test_negative_sizes_end_the_reading(tmp_path: Path, size: int) -> None:
    """A size that leads back to an earlier header neither hangs nor hides another's size."""
    info = member("a", tarfile.CONTTYPE)
    info.size = size
    archive = tmp_path / "hostile.tar"
    archive.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + tar_bytes([member("b")]))
    with pytest.raises(SourceError):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_many_and_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absurd numbers of members and of bytes are refused."""
    monkeypatch.setattr(extraction, "MAX_MEMBERS", 3)
    assert "absurdly large" in refused(tmp_path, [member(str(number)) for number in range(3)])


def test_bomb_is_refused_by_its_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum of what the members claim is what counts."""
    monkeypatch.setattr(extraction, "MAX_BYTES", 20)
    assert "26 bytes" in refused(tmp_path, [member("123456789"), member("abcdefghi")])


def test_limits_themselves_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly as much as the limit says is extracted."""
    monkeypatch.setattr(extraction, "MAX_MEMBERS", 2)
    monkeypatch.setattr(extraction, "MAX_BYTES", 2)
    archive = tmp_path / "a.tar"
    archive.write_bytes(tar_bytes([member("a"), member("b")]))
    extract(archive, tmp_path / "out")
    assert names(tmp_path / "out") == ["a", "b"]


def good_members() -> list[tarfile.TarInfo]:
    script = member("top/bin/tool", mode=0o755)
    hard, harder = hardlink("top/hard", "top/bin/tool"), hardlink("top/harder", "top/hard")
    for info in (script, hard, harder):
        info.mtime = 5000
    return [
        folder("top"),
        folder("top"),
        folder("top/bin"),
        script,
        member("top/secret", mode=0o600),
        member("top/ünï/日本"),
        member("./top/" + "long" * 60),
        symlink("top/link", "bin/tool"),
        symlink("top/bin/up", "../secret"),
        symlink("top/dangling", "nowhere"),
        hard,
        harder,
    ]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_good_archive_keeps_modes_times_and_links(tmp_path: Path, compression: str) -> None:
    """Whatever the compression, content, modes, times and links come out, with the newest time."""
    archive = tmp_path / "archive"
    archive.write_bytes(COMPRESSIONS[compression](tar_bytes(good_members())))
    former = os.umask(0o077)
    try:
        newest = extract(archive, tmp_path / "out")
    finally:
        os.umask(former)
    top = tmp_path / "out/top"
    assert newest == 5000
    assert (top / "bin/tool").read_text(encoding="utf-8") == "top/bin/tool"
    assert (top / "ünï/日本").read_text(encoding="utf-8") == "top/ünï/日本"
    assert (top / ("long" * 60)).is_file()
    assert stat.S_IMODE((top / "bin/tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((top / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((top / "bin").stat().st_mode) == 0o755
    assert (top / "bin/tool").stat().st_mtime == 5000
    assert (top / "secret").stat().st_mtime == 1000
    assert str((top / "link").readlink()) == "bin/tool"
    assert (top / "bin/up").read_text(encoding="utf-8") == "top/secret"
    assert str((top / "dangling").readlink()) == "nowhere"
    assert (top / "harder").stat().st_ino == (top / "bin/tool").stat().st_ino


def test_empty_archive_has_no_time(tmp_path: Path) -> None:
    """An archive without members is extracted to nothing, at the epoch."""
    (tmp_path / "a.tar").write_bytes(tar_bytes([]))
    assert extract(tmp_path / "a.tar", tmp_path / "out") == 0


NOISE = os.urandom(4096).hex().encode()


def noisy_tar() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name in ("one", "two"):
            info = tarfile.TarInfo(name)
            info.size = len(NOISE)
            tar.addfile(info, io.BytesIO(NOISE))
    return raw.getvalue()


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.85])
def test_truncated_archive_is_refused(tmp_path: Path, compression: str, share: float) -> None:
    """A file that is cut off anywhere is told apart from a whole one, and nothing is written."""
    data = COMPRESSIONS[compression](noisy_tar())
    (tmp_path / "cut").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SourceError, match="is not a whole tar archive") as caught:
        extract(tmp_path / "cut", tmp_path / "out")
    assert caught.value.found
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("compression", ["gz", "xz", "zst"])
def test_every_cut_of_a_compressed_file_is_seen(tmp_path: Path, compression: str) -> None:
    """Even a file that only lacks its last bytes is refused."""
    data = COMPRESSIONS[compression](noisy_tar())
    for length in (1, 3, 4, 8):
        (tmp_path / "cut").write_bytes(data[:-length])
        with pytest.raises(SourceError, match="is not a whole tar archive"):
            extract(tmp_path / "cut", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_plain_tar_that_ends_in_a_header_is_refused(tmp_path: Path) -> None:
    """A tar without its end, cut in the middle of a header, is not whole."""
    (tmp_path / "cut").write_bytes(tar_bytes([member("a"), member("b")])[:1124])
    with pytest.raises(SourceError, match="is not a whole tar archive"):
        extract(tmp_path / "cut", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("compression", ["gz", "xz"])
@pytest.mark.parametrize("place", [0.4, 0.999])
def test_flipped_bit_is_seen(tmp_path: Path, compression: str, place: float) -> None:
    """Damage inside is found by the compression's own check, before anything is written."""
    data = bytearray(COMPRESSIONS[compression](noisy_tar()))
    data[int(len(data) * place) - 1] ^= 0x10
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(SourceError, match="is not a whole tar archive"):
        extract(tmp_path / "damaged", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"<!DOCTYPE html><html>not here</html>" * 100,
        b"\x1f\x8b",
        b"\xfd7zXZ\x00",
        b"\x28\xb5\x2f\xfd",
    ],
    ids=["empty", "short", "html", "gzip-magic", "xz-magic", "zstd-magic"],
)
def test_what_is_no_tar_is_refused(tmp_path: Path, content: bytes) -> None:
    """Pages, empty files and bare magic numbers are no archives."""
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(SourceError, match="is not a whole tar archive"):
        extract(tmp_path / "file", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_opened_tar_can_be_read_in_any_order(tmp_path: Path) -> None:
    """A zstd stream, which cannot seek, is read like any other."""
    (tmp_path / "a").write_bytes(COMPRESSIONS["zst"](tar_bytes([member("a"), member("b")])))
    with open_tar(tmp_path / "a") as tar:
        for name in ("b", "a", "b"):
            content = tar.extractfile(name)
            assert content is not None
            assert content.read() == name.encode()


def test_only_what_is_wanted(tmp_path: Path) -> None:
    """Members that are not wanted are neither judged nor extracted."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("keep/x", "../outside"):
            tar.addfile(tarfile.TarInfo(name))
    extract(path, tmp_path / "out", lambda name: name.startswith("keep/"))
    assert [entry.name for entry in (tmp_path / "out").rglob("*")] == ["keep", "x"]


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    """Return a bare header that claims a size."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % tarfile.BLOCKSIZE)


def pax(text: bytes) -> bytes:
    """Return a PAX header with one attribute, and a member that it is about."""
    length = next(n for n in range(len(text), len(text) + 9) if len(f"{n} ") + len(text) + 1 == n)
    record = f"{length} ".encode() + text + b"\n"
    return header(tarfile.XHDTYPE, len(record)) + padded(record) + header(tarfile.REGTYPE, 0)


END = bytes(2 * tarfile.BLOCKSIZE)
LIARS = {
    "huge PAX header": header(tarfile.XHDTYPE, 1 << 33) + END,
    "huge long name": header(tarfile.GNUTYPE_LONGNAME, 1 << 33) + END,
    "huge global header": header(tarfile.XGLTYPE, 1 << 33) + END,
    "time that is no number": pax(b"mtime=nan") + END,
    "sparse map of no numbers": pax(b"GNU.sparse.map=a,b") + END,
    "headers on headers": header(tarfile.GNUTYPE_LONGNAME, 0) * 5000 + END,
    "name with a null": pax(b"path=a\0b") + END,
    "name that is too long": pax(b"path=" + b"n" * 5000) + END,
}


@pytest.mark.parametrize("compression", ["tar", "zst"])
@pytest.mark.parametrize("case", LIARS)
def test_headers_that_lie(tmp_path: Path, case: str, compression: str) -> None:
    """A header that claims gigabytes, or makes no sense, is one clear message."""
    archive = tmp_path / "archive"
    archive.write_bytes(COMPRESSIONS[compression](LIARS[case]))
    with pytest.raises(SourceError) as caught:
        extract(archive, tmp_path / "out")
    assert caught.value.found
    assert len(str(caught.value)) < 600
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("case", ["members", "end"])
def test_bomb_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """What unpacks to more than the limit is refused before it was written anywhere."""
    monkeypatch.setattr(extraction, "MAX_BYTES", 30 << 20)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spool"))
    size = 64 << 20
    data = header(tarfile.REGTYPE, size) if case == "members" else header(tarfile.REGTYPE, 0)
    archive = tmp_path / "bomb.tar.zst"
    archive.write_bytes(COMPRESSIONS["zst"](data + bytes(size) + END))
    assert archive.stat().st_size < 20_000
    if case == "end":
        (tmp_path / "spool").mkdir()
    # The directory for what is spooled is not there: with a limit that comes first nobody asks.
    with pytest.raises(SourceError, match="refusing to extract") as caught:
        extract(archive, tmp_path / "out")
    assert "absurdly large" in caught.value.found or "after the last member" in caught.value.found
