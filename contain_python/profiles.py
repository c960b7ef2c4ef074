"""Recorded PGO profiles: what they fit, how they are written, and how they are found.

A profile is one deterministic archive: gcc's `.gcda` files, or clang's merged profile, and
`profile.json` with its key. Training never gives the same counters twice, so a build that is to be
reproducible takes its profile as an input, like the source (docs/profiles.md).
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath

import zstandard

from contain_python.errors import ContainError, RecipeError, SourceError
from contain_python.extraction import open_tar, refuse_hostile
from contain_python.files import human_size, sha256, sorted_files
from contain_python.keeping import digest
from contain_python.model import Profile, ProfileKey, Release
from contain_python.store import Entry, Note, Store, short
from contain_python.structure import structure

ENDING = ".profile.tar.zst"

#: The origin of a profile that a build, or train, recorded.
HERE = "recorded on this machine"

_KEY = "profile.json"
_CLANG = "code.profclangd"
_BOLT = "python.fdata"
#: 3.11 compiles extensions into a directory that repeats the source's own path.
_SOURCE = "@source@"
_LEVEL = 19
#: Far more than any profile has in one file, in bytes.
_MOST = 256 << 20
_MOST_KEY = 1 << 20
#: How many differences of two configure lines are told: there can be dozens.
_TOLD = 4


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A recorded profile of the same release that does not fit, why, and in how many values."""

    name: str
    why: str
    values: int


def key_of(
    release: Release,
    patches: tuple[str, ...],
    compiler: str,
    machine: str,
    command: tuple[str, ...],
) -> ProfileKey:
    """Return what a profile must have been recorded for, to fit a build.

    `patches` are their SHA-256, `command` is the configure line.
    """
    return ProfileKey(
        version=release.version,
        source=release.sha256,
        patches=patches,
        compiler=compiler,
        machine=machine,
        flags=shaping_flags(command),
    )


def shaping_flags(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of a configure line that shape code: no prefix, linker or debug flags."""
    words = [word for word in command[1:] if not word.startswith("--prefix=")]
    flags: list[str] = []
    for word in words:
        name, separator, value = word.partition("=")
        if name.isupper() or "_NODIST" in name:
            kept = [
                flag
                for flag in value.split()
                if not flag.startswith(("-Wl,", "-g", "-ffile-prefix-map="))
            ]
            word = f"{name}{separator}{' '.join(kept)}"  # noqa: PLW2901  without the linker's part
        flags.append(word)
    return tuple(flags)


def differences(recorded: ProfileKey, wanted: ProfileKey) -> str:
    """Return in which way two keys differ, for reading; nothing if they do not."""
    told: list[str] = []
    for field in fields(ProfileKey):
        before, now = getattr(recorded, field.name), getattr(wanted, field.name)
        if before == now:
            continue
        if field.name == "flags":
            only = [f"recorded with {word}" for word in before if word not in now]
            only += [f"wanted with {word}" for word in now if word not in before]
            told.append(f"flags ({_first(only) or 'in another order'})")
        else:
            told.append(f"{field.name} (recorded for {_shown(before)}, wanted {_shown(now)})")
    return ", ".join(told)


def _first(told: list[str]) -> str:
    """Return the first few of many differences, and how many more there are."""
    few = "; ".join(told[:_TOLD])
    return few + (f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else "")


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(short(str(item)) for item in value) or "none"
    text = str(value)
    return short(text) if re.fullmatch("[0-9a-f]{64}", text) else text


def store_of(folder: Path) -> Store:
    """Return the profiles in a directory."""
    return Store(folder=folder, ending=ENDING)


def record(root: Path, key: ProfileKey, store: Store) -> Profile:
    """Write the profile that training left in a build tree. Raises SourceError if it left none."""
    names = _recorded_files(root)
    if not names:
        raise SourceError(
            "training left no profile",
            expected=f".gcda files, or {_CLANG}, below {root}",
            remedy="read the log of the train stage",
        )
    data = _archive(root, key, names)
    machine = key.machine.split("-", maxsplit=1)[0]
    what = f"python-{key.version}-linux-{machine}-{compiler_name(key.compiler)}"
    return replace(read(store.put(what, digest(key), data).path), origin=HERE)


def compiler_name(identity: str) -> str:
    """Return the short name of a compiler: gcc-12.2.0."""
    known = re.search(r"\b(?:clang|gcc)\b", identity)
    program = known[0] if known else "cc"
    version = re.search(r"\d+(\.\d+)+", identity)
    return f"{program}-{version[0]}" if version else program


def _recorded_files(root: Path) -> list[Path]:
    return [
        path
        for path in sorted_files(root)
        if path.suffix == ".gcda" or path.name in (_CLANG, _BOLT)
    ]


def _archive(root: Path, key: ProfileKey, files: list[Path]) -> bytes:
    inner = str(root).strip("/")
    members = {
        path.relative_to(root).as_posix().replace(inner, _SOURCE): path.read_bytes()
        for path in files
    }
    text = json.dumps({field.name: getattr(key, field.name) for field in fields(key)}, indent=1)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in [(_KEY, text.encode()), *sorted(members.items())]:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return zstandard.ZstdCompressor(level=_LEVEL, threads=0).compress(buffer.getvalue())


def read(path: Path) -> Profile:
    """Return a profile file, checked against its name. Raises SourceError."""
    entry = entry_of(path)
    damage = entry.damage()
    if damage:
        raise SourceError(
            f"{path.name} is damaged",
            expected=f"a SHA-256 that begins with {entry.hash}, as its name says",
            found=damage,
            remedy="fetch or record it again",
        )
    with open_tar(path) as tar:
        first = tar.next()
        content = tar.extractfile(first) if first and first.name == _KEY else None
        text = content.read(_MOST_KEY) if content else b""
    try:
        key = structure(ProfileKey, json.loads(text), path.name)
    except (ValueError, RecipeError) as problem:
        raise SourceError(
            f"{path.name} does not begin with its key",
            expected=f"{_KEY}, as invoke train writes it",
            found=str(problem),
        ) from problem
    if short(digest(key)) != entry.key:
        raise SourceError(f"{path.name} does not have the key that its name says")
    return Profile(path=path, sha256=sha256(path), key=key)


def entry_of(path: Path) -> Entry:
    """Return what a profile's name says. Raises SourceError for a name of another form."""
    entry = next((item for item in store_of(path.parent).entries() if item.path == path), None)
    if entry:
        return entry
    raise SourceError(
        f"{path} is not a recorded profile",
        expected=f"a file python-VERSION-…-KEY-HASH{ENDING}, as invoke train writes it",
        found="no such file" if not path.exists() else "another name",
    )


def lay(profile: Profile, root: Path) -> None:
    """Put a profile into a build tree, as training would have left it.

    Raises SourceError, with nothing written, for one that holds anything but counters: whoever made
    it could replace any source file.
    """
    inner = str(root).strip("/")
    with open_tar(profile.path) as tar:
        members = tar.getmembers()
        refuse_hostile(members, profile.path)
        for member in members:
            _refuse_other(member, profile.path)
        for member in members[1:]:
            content = tar.extractfile(member)
            assert content is not None  # noqa: S101  for mypy: all are regular files
            target = root / member.name.replace(_SOURCE, inner)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())


def _refuse_other(member: tarfile.TarInfo, path: Path) -> None:
    name = PurePosixPath(member.name)
    counters = name.suffix == ".gcda" or member.name in (_CLANG, _BOLT, _KEY)
    if not (member.isreg() and counters and member.size <= _MOST):
        raise SourceError(
            f"{path.name} is no recorded profile",
            expected=f"gcc's .gcda files, {_CLANG} or {_BOLT}, of at most {human_size(_MOST)} each",
            found=f"{member.name!r} of {human_size(member.size)}",
            remedy="do not use it: record one with invoke train",
        )


def find(
    key: ProfileKey, folders: list[Path], note: Note
) -> tuple[Profile | None, tuple[Refusal, ...]]:
    """Return the recorded profile that fits, from the first directory that has one.

    Where none fits, the profiles of the same release that were refused, the nearest first.
    """
    for folder in folders:
        entry = store_of(folder).find(digest(key), note)
        if entry:
            return read(entry.path), ()
    refusals = (
        _refusal(entry.path, key)
        for folder in folders
        for entry in store_of(folder).entries()
        if entry.path.name.startswith(f"python-{key.version}-")
    )
    nearest_first = sorted(refusals, key=lambda one: one.values)
    return None, tuple(one for one in nearest_first if one.why)


def _refusal(path: Path, key: ProfileKey) -> Refusal:
    try:
        recorded = read(path).key
    except ContainError as problem:
        return Refusal(name=path.name, why=problem.what, values=sys.maxsize)
    return Refusal(name=path.name, why=differences(recorded, key), values=_distance(recorded, key))


def _distance(recorded: ProfileKey, wanted: ProfileKey) -> int:
    """Return in how many values two keys differ; each word of the configure line is one."""
    names = [field.name for field in fields(ProfileKey) if field.name != "flags"]
    others = [name for name in names if getattr(recorded, name) != getattr(wanted, name)]
    before, now = set(recorded.flags), set(wanted.flags)
    return len(others) + max(len(before - now), len(now - before))


def remove(root: Path) -> None:
    """Remove what training left in a build tree."""
    for path in _recorded_files(root):
        path.unlink()
    (root / "profile-run-stamp").unlink(missing_ok=True)


def key_digits(key: ProfileKey) -> str:
    """Return the digits of a key that stand in the names of its profiles."""
    return short(digest(key))
