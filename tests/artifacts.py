"""Artifacts for tests: a real tarball with a manifest beside it, as small as one likes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

PREFIX = "opt/myorg/python"


def an_artifact(folder: Path, files: dict[str, bytes], **data: Any) -> Path:  # noqa: ANN401  JSON
    """Return a runtime tarball with these files below its prefix; `data` goes into its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "python-3.13.15-linux-x86_64-runtime"
    below = str(data.get("prefix", PREFIX)).strip("/")
    tarball = folder / f"{name}.tar.gz"
    rows = []
    with tarfile.open(tarball, "w:gz") as tar:
        for path, content in sorted(files.items()):
            member = tarfile.TarInfo(f"{below}/{path}")
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
            digest = hashlib.sha256(content).hexdigest()
            rows.append(
                {"path": member.name, "mode": "755", "size": len(content), "sha256": digest}
            )
    manifest = {
        "format": 1,
        "kind": "runtime",
        "tool": {"name": "contain-python", "version": "1", "fingerprint": "f"},
        "release": {
            "version": "3.13.15",
            "date": "2026-01-02",
            "sha256": "0" * 64,
            "verified": "unverified",
            "proof": "made up",
            "superseded": False,
            "superseded_by": "",
        },
        "patches": [],
        "prefix": f"/{PREFIX}",
        "optimize": "none",
        "configure": ["./configure"],
        "compiler": "gcc 12",
        "machine": "x86_64-linux-gnu",
        "packages": [],
        "profile": None,
        "ledger": [
            {"stage": "relocate", "rule": "shebang", "files": 6},
            {"stage": "prune-runtime", "rule": "pip", "files": 3, "bytes": -1000},
        ],
        "libraries": [],
        "runtime_packages": [{"name": "libc6", "minimum": "2.36", "why": "libc.so.6"}],
        "checks": [{"check": "elf", "passed": True}],
        "tarball": {
            "name": tarball.name,
            "size": tarball.stat().st_size,
            "sha256": hashlib.sha256(tarball.read_bytes()).hexdigest(),
        },
        "files": rows,
        **data,
    }
    (folder / f"{name}.json").write_text(json.dumps(manifest), encoding="utf-8")
    return tarball
