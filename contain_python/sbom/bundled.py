"""The libraries that are bundled, as parts of the bill of materials."""

from __future__ import annotations

from pathlib import Path

from contain_python.bundled.place import PLACE
from contain_python.bundled.table import Library
from contain_python.sbom.model import Licence, Part, Source

#: Where a library without a URL of its own is had: the pool of any Debian archive.
_POOL = "https://ftp.debian.org/debian/pool/main"


def bundled(
    root: Path, libraries: tuple[tuple[Library, tuple[Path, ...]], ...]
) -> tuple[Part, ...]:
    """Return the libraries inside the prefix `root`, which has their licences, by name.

    With each come its patches.
    """
    parts = (_part(root, library, patches) for library, patches in libraries)
    return tuple(sorted(parts, key=lambda part: part.name))


def _part(root: Path, library: Library, patches: tuple[Path, ...]) -> Part:
    return Part(
        origin="bundled",
        name=library.name,
        version=library.version,
        purl=library.purl.format(version=library.version),
        cpe=library.cpe.format(version=library.version),
        what=library.why,
        supplier=library.supplier,
        licences=(Licence(spdx=library.licence, text=_texts(root / PLACE / library.name)),),
        source=Source(url=library.url or f"{_POOL}/{library.pool}", sha256=library.sha256),
        patches=tuple(path.read_text(encoding="utf-8", errors="replace") for path in patches),
        inside="cpython",
    )


def _texts(folder: Path) -> str:
    files = sorted(folder.glob("*")) if folder.is_dir() else []
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)
