"""Make a built wheel self-contained: strip, take in foreign libraries, choose the platform tag.

auditwheel and patchelf do it. The tag is the oldest that the symbols allow (PEP 600).
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from platform import machine
from tempfile import TemporaryDirectory

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from contain_python import process
from contain_python.distribution import distribution_package_of
from contain_python.elf import ElfFacts, is_elf, read_elf
from contain_python.elf_symbols import versioned_imports
from contain_python.errors import CheckError, CompileError, UsageError
from contain_python.files import remove_tree, sha256, sorted_entries, sorted_files
from contain_python.wheels.model import Vendored

_GRAFT = re.compile(r"Grafting: (?P<source>\S+) -> (?P<target>\S+)")
_EXCLUDED = re.compile(r"Excluding (\S+)")
_NOT_FOUND = re.compile(r'required library "(?P<library>[^"]+)" could not be located')
_PLATFORM = re.compile(r"manylinux_(?P<major>\d+)_(?P<minor>\d+)_(?P<machine>\w+)")
_AUDITWHEEL = (sys.executable, "-m", "auditwheel", "--verbose")
#: The names that older pip knew (PEP 600 lists them).
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
#: The platform of a wheel without machine code.
_ANY = (0, 0)
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """A wheel that needs nothing but its platform, and what it took in or was told to leave."""

    path: Path
    vendored: tuple[Vendored, ...]
    external: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The newest platform a wheel may need ("" for any), and globs of sonames to leave outside."""

    platform: str
    external: tuple[str, ...]


def repair(raw: Path, work: Path, policy: Policy, epoch: int, log: Path) -> Repaired:
    """Return the finished wheel. Raises CheckError if it cannot meet the platform."""
    tree = _unpack(raw, work, log)
    elves = [path for path in sorted_files(tree) if is_elf(path)]
    for path in filter(_is_linked, elves):
        # Before patchelf, which moves what strip then would break (auditwheel#716).
        process.run(["strip", "--strip-all", path], cwd=work, log=log)
    packed = _pack(tree, work / "packed", epoch, log)
    if not elves:
        return Repaired(path=packed, vendored=(), external=())
    repaired, said = _auditwheel(packed, work, policy, epoch, log)
    return Repaired(
        path=repaired,
        vendored=tuple(_vendored(said)),
        external=tuple(sorted(set(_EXCLUDED.findall("\n".join(said))))),
    )


def _is_linked(path: Path) -> bool:
    """Return whether an ELF file is linked, and for this machine: no other is stripped."""
    facts = read_elf(path)
    return facts is not None and facts.kind != "object" and facts.machine == _own_machine()


def _unpack(raw: Path, work: Path, log: Path) -> Path:
    """Unpack a wheel, with the modes that a file in a wheel should have, whatever the umask."""
    target = work / "unpacked"
    remove_tree(target)
    process.run([sys.executable, "-m", "wheel", "unpack", "-d", target, raw], cwd=work, log=log)
    (tree,) = target.iterdir()
    for path in sorted_entries(tree):
        runs = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if runs else 0o644)
    return tree


def _pack(tree: Path, target: Path, epoch: int, log: Path) -> Path:
    """Pack a wheel with sorted members and one time, and the RECORD of what is there now."""
    remove_tree(target)
    target.mkdir()
    process.run(
        [sys.executable, "-m", "wheel", "pack", "-d", target, tree],
        cwd=target,
        log=log,
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
    )
    (packed,) = target.iterdir()
    return packed


def _auditwheel(
    packed: Path, work: Path, policy: Policy, epoch: int, log: Path
) -> tuple[Path, list[str]]:
    target = work / "repaired"
    remove_tree(target)
    said: list[str] = []
    tools = Path(sys.executable).parent
    excluded = [f"--exclude={soname}" for soname in policy.external]
    try:
        process.run(
            [*_AUDITWHEEL, "repair", "-w", target, *excluded, packed],
            cwd=work,
            log=log,
            environment={
                "SOURCE_DATE_EPOCH": str(epoch),
                "PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin",
            },
            on_line=said.append,
        )
    except CompileError as problem:
        if match := _NOT_FOUND.search("\n".join(said)):
            raise CheckError(
                f"{packed.name} needs {match['library']}, which is not to be found",
                remedy="install its package in the builder, or leave it outside by a rule:"
                " [[wheels.external]] in contain.toml",
            ) from problem
        raise
    (repaired,) = target.iterdir()
    refuse_newer(repaired, policy.platform, log)
    return repaired, said


def refuse_newer(wheel: Path, platform: str, log: Path) -> None:
    """Refuse a wheel that needs a newer platform than this one, or than its own tag says.

    Raises CheckError, UsageError.
    """
    _refuse_untrue(wheel)
    if not platform or glibc_of(wheel.name) <= _wanted(platform):
        return
    major, minor = _wanted(platform)
    reasons = list(_too_new(wheel, f"{major}.{minor}", log))
    raise CheckError(
        f"{wheel.name} cannot be {platform}",
        found="\n".join(reasons[:_SHOWN])
        or "no single symbol: its build system, or upstream, chose the tag",
        expected=f"only what glibc {major}.{minor} has",
        remedy="build it in a builder on an older distribution, or pass a newer --plat",
    )


def _refuse_untrue(wheel: Path) -> None:
    """Refuse a wheel with a file that glibc loads only later than the tag promises, or never.

    Tags are made from symbols. Packed relocations need none, and few who write tags read the
    programs that a wheel installs into bin/.
    """
    promised = glibc_of(wheel.name)
    if promised == _ANY:
        return
    with zipfile.ZipFile(wheel) as archive, TemporaryDirectory(prefix="contain-python-") as folder:
        for name in sorted(archive.namelist()):
            facts = read_elf(Path(archive.extract(name, folder)))
            if facts and facts.machine == _own_machine():
                _refuse_broken_promise(wheel.name, name, facts, promised)


def _refuse_broken_promise(
    wheel: str, name: str, facts: ElfFacts, promised: tuple[int, int]
) -> None:
    if facts.lacks_mark:
        found = "packed relative relocations without the mark by which glibc takes them"
    elif Version(facts.least_glibc or "0").release > promised:
        found = f"it needs {', '.join(need for need, _ in facts.demands)}"
    else:
        return
    raise CheckError(
        f"{wheel} holds a file that does not load where its tag says: {name}",
        expected=f"what glibc {'.'.join(map(str, promised))} loads",
        found=found,
        remedy="build it from source with --no-binary, linked without -z pack-relative-relocs;"
        " or take another release of it",
    )


def _own_machine() -> str:
    facts = read_elf(Path(sys.executable).resolve())
    return facts.machine if facts else ""


def _wanted(platform: str) -> tuple[int, int]:
    here = machine()
    match = _PLATFORM.fullmatch(platform)
    name, _, architecture = platform.partition("_")
    if match and match["machine"] == here:
        return int(match["major"]), int(match["minor"])
    if name in _LEGACY and architecture == here:
        return _LEGACY[name]
    raise UsageError(
        f"--plat cannot be {platform!r}", expected=f"such as manylinux_2_28_{here} (PEP 600)"
    )


def check_platform(platform: str) -> None:
    """Refuse what is no platform tag. Raises UsageError."""
    if platform:
        _wanted(platform)


def platform_of(name: str) -> str:
    """Return the oldest platform that a wheel is tagged for, "any" without machine code."""
    *_, tags = parse_wheel_filename(name)
    found = {tag.platform for tag in tags}
    return min(found, key=lambda tag: (_glibc(tag), tag))


def glibc_of(name: str) -> tuple[int, int]:
    """Return the least glibc for which a wheel is tagged: (0, 0) for any."""
    return _glibc(platform_of(name))


def _glibc(tag: str) -> tuple[int, int]:
    if match := _PLATFORM.fullmatch(tag):
        return int(match["major"]), int(match["minor"])
    if legacy := _LEGACY.get(tag.partition("_")[0]):
        return legacy
    return _ANY if tag == "any" else (1 << 16, 0)


def _too_new(wheel: Path, glibc: str, log: Path) -> Iterator[str]:
    """Yield each file, library and symbol that a wheel takes from a newer glibc."""
    work = wheel.parent / f"{wheel.name}.examined"
    work.mkdir()
    tree = _unpack(wheel, work, log)
    for path in sorted_files(tree):
        for symbol in versioned_imports(path) if is_elf(path) else ():
            if symbol.is_newer(glibc):
                yield f"{path.relative_to(tree)}: {symbol}"


def _vendored(said: list[str]) -> Iterator[Vendored]:
    for line in said:
        if match := _GRAFT.search(line):
            path = Path(match["source"])
            yield Vendored(
                library=path.name,
                path=str(path),
                sha256=sha256(path),
                package=distribution_package_of(path.resolve()) or "",
            )
