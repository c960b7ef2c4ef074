"""The frozen values that flow from stage to stage; distinct types make a wrong order an error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from packaging.version import Version

FlavourName = Literal["runtime", "builder"]
FLAVOURS: tuple[FlavourName, ...] = ("runtime", "builder")

#: What showed that a source is upstream's, from the strongest to none.
Verification = Literal["sigstore", "openpgp", "apt-signed", "unverified"]


@dataclass(frozen=True, kw_only=True)
class Release:
    """A CPython release as `releases.lock` pins it.

    `size` is in bytes; `superseded_by` names the newest release of the series known when the
    file was last refreshed, and is empty for that release itself. `verified` says what showed
    that the file is the upstream release, `proof` who vouched for it, and when it was checked.
    """

    version: str
    filename: str
    size: int
    sha256: str
    date: str
    verified: Verification
    proof: str = ""
    superseded_by: str = ""

    @property
    def series(self) -> str:
        """Return the feature series, such as "3.13"."""
        parsed = Version(self.version)
        return f"{parsed.major}.{parsed.minor}"

    @property
    def source_name(self) -> str:
        """Return the directory that debug symbols name as the source, wherever it was built."""
        return f"/usr/src/Python-{self.version}"

    @property
    def parsed(self) -> Version:
        """Return the version as packaging orders it."""
        return Version(self.version)


class Pinned(Protocol):
    """A file whose size (in bytes) and SHA-256 are known before it is fetched."""

    @property
    def size(self) -> int:
        """Return its size."""

    @property
    def sha256(self) -> str:
        """Return its SHA-256."""


@dataclass(frozen=True, kw_only=True)
class SourceArchive:
    """A source tarball whose size and SHA-256 were checked against its release."""

    release: Release
    path: Path


@dataclass(frozen=True, kw_only=True)
class AppliedPatch:
    """A patch that was applied: its path below `patches/` and the SHA-256 of its text."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SourceTree:
    """An unpacked, patched source; `epoch` is its SOURCE_DATE_EPOCH in seconds."""

    release: Release
    root: Path
    epoch: int
    patches: tuple[AppliedPatch, ...]


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The directory of the bundled libraries, with their headers and licences, and their names."""

    root: Path
    libraries: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ConfiguredTree:
    """A source tree that `./configure` accepted.

    `command` is the configure line; `compiler` identifies the exact compiler build; `machine` is
    its target, such as x86_64-linux-gnu; `extensions` are the stdlib extension modules that the
    tree will build.
    """

    source: SourceTree
    machine: str
    command: tuple[str, ...]
    compiler: str
    extensions: tuple[str, ...]

    @property
    def python(self) -> str:
        """Return the interpreter's name, which the standard library's directory has too."""
        return f"python{self.source.release.series}{self.abiflags}"

    @property
    def abiflags(self) -> str:
        """Return what sys.abiflags will be: "t" with free threading."""
        return "t" if "--disable-gil" in self.command else ""


@dataclass(frozen=True, kw_only=True)
class ProfileKey:
    """All that a PGO profile depends on; it fits a build whose key is the same, and no other.

    `flags` are the configure options and compiler flags that shape code. The prefix, the
    directory of the build and what only the linker sees are not in it.
    """

    version: str
    source: str
    patches: tuple[str, ...]
    compiler: str
    machine: str
    flags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A recorded PGO profile: its file, the SHA-256 of that, and what it was recorded for.

    `origin` says from where it was taken: who recorded it shaped the code.
    """

    path: Path
    sha256: str
    key: ProfileKey
    origin: str = ""


@dataclass(frozen=True, kw_only=True)
class BuiltTree:
    """A tree that `make` finished, with every promised extension module present.

    `profile` is the PGO profile it was compiled with, if any.
    """

    configured: ConfiguredTree
    make_command: tuple[str, ...]
    profile: Profile | None = None


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """An installed Python: `root` is the directory that stands for the configured `prefix`."""

    built: BuiltTree
    root: Path
    prefix: str

    @property
    def release(self) -> Release:
        """Return the release that was built."""
        return self.built.configured.source.release

    @property
    def source(self) -> SourceTree:
        """Return the source tree it was built from."""
        return self.built.configured.source

    @property
    def executable(self) -> Path:
        """Return the interpreter inside `root`."""
        return self.root / "bin" / self.built.configured.python

    @property
    def stdlib(self) -> Path:
        """Return the standard library's directory inside `root`."""
        return self.root / "lib" / self.built.configured.python


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a stage did to one file: the rule that did it, why, and the bytes it saved or cost.

    `path` is relative to the prefix; `bytes` is the size after less the size before.
    """

    path: str
    action: Literal["removed", "changed", "added"]
    rule: str
    why: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Flavours:
    """The pruned prefixes, by flavour, and the tree of detached debug symbols."""

    runtime: Prefix
    builder: Prefix
    debug: Path

    def prefix(self, name: FlavourName) -> Prefix:
        """Return the prefix of one flavour."""
        return self.runtime if name == "runtime" else self.builder


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An uncompressed deterministic tar; `kind` is a flavour or "debug"."""

    kind: str
    path: Path
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Archives:
    """Everything one build archived, beside the prefixes it came from."""

    flavours: Flavours
    archives: tuple[Archive, ...]

    def of(self, kind: str) -> Archive:
        """Return the archive of one flavour, or of the debug symbols."""
        return next(archive for archive in self.archives if archive.kind == kind)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing a check saw: what, where, why it matters, what to do about it.

    `level` "error" fails the verification; "note" informs and never fails.
    """

    check: str
    level: Literal["error", "note"]
    where: str
    what: str
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One check of one subject: a sentence on what was examined, and its findings.

    `ran` is false where this machine could not do it.
    """

    check: str
    examined: str
    findings: tuple[Finding, ...]
    ran: bool = True

    @property
    def passed(self) -> bool:
        """Return whether no finding is an error."""
        return not any(finding.level == "error" for finding in self.findings)


@dataclass(frozen=True, kw_only=True)
class Verified:
    """Archives that passed every check, and what was checked, by flavour."""

    archives: Archives
    runtime: tuple[CheckResult, ...]
    builder: tuple[CheckResult, ...]

    def results(self, name: FlavourName) -> tuple[CheckResult, ...]:
        """Return the results of one flavour."""
        return self.runtime if name == "runtime" else self.builder


@dataclass(frozen=True, kw_only=True)
class Stripped:
    """A prefix without symbols, and the tree of its debug symbols."""

    prefix: Prefix
    debug: Path


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A finished tarball in `dist/` and the papers beside it; sizes in bytes."""

    kind: str
    path: Path
    sha256: str
    size: int
    unpacked: int
    manifest: Path
    sbom: Path
    provenance: Path

    @property
    def papers(self) -> tuple[Path, ...]:
        """Return what stands beside the tarball and describes it."""
        return self.manifest, self.sbom, self.provenance


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Everything one build put into `dist/`."""

    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a stage is: `fraction` from 0 to 1, and what it is doing now."""

    fraction: float
    doing: str
