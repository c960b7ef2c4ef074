"""Small tarballs as `build-python` packs them, and what `deploy` makes of them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from contain_python import deployed
from contain_python.console import Console
from contain_python.deploying import deploy

PREFIX = "/opt/myorg/python"

Files = dict[str, str | tuple[str, ...]]


def pack(
    dist: Path, version: str, files: Files, *, kind: str = "runtime", prefix: str = PREFIX
) -> Path:
    """Write a tarball with its manifest, and list it; a tuple of one word is a link's target."""
    dist.mkdir(exist_ok=True)
    path = dist / f"python-{version}-linux-x86_64-{kind}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{'' if kind == 'debug' else prefix[1:] + '/'}{name}")
            info.mtime = 1_700_000_000
            if isinstance(content, tuple):
                info.type, info.linkname = tarfile.SYMTYPE, content[0]
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content.encode()))
    manifest = {
        "kind": kind,
        "prefix": prefix,
        "release": {"version": version},
        "tarball": {
            "name": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "size": path.stat().st_size,
        },
    }
    (dist / f"python-{version}-linux-x86_64-{kind}.json").write_text(json.dumps(manifest))
    with (dist / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    return path


def a_python(series: str, **more: str) -> Files:
    """Return what stands in a prefix."""
    return {
        "bin/python3": (f"python{series}",),
        f"bin/python{series}": f"program {series}",
        f"bin/pip{series}": f"pip {series}",
        "bin/pip3": f"pip {series}",
        f"lib/python{series}/os.py": f"os of {series}",
        f"lib/python{series}/contain-python.json": "{}",
        "lib/pkgconfig/python3.pc": f"pc {series}",
        **more,
    }


def put(root: Path, *tarballs: Path) -> None:
    """Deploy the first tarball, and the others beside it."""
    deploy(str(tarballs[0]), " ".join(map(str, tarballs[1:])), str(root), Console(as_json=True))


def tree(root: Path) -> dict[str, str]:
    """Return the content of each file below the prefix, and the target of each link."""
    top = root / PREFIX[1:]
    return {
        str(path.relative_to(top)): str(path.readlink()) if path.is_symlink() else path.read_text()
        for path in sorted(top.rglob("*"))
        if (path.is_symlink() or path.is_file()) and path.name != deployed.NAME
    }
