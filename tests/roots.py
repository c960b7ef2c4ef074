"""Roots of other systems, in which a Python of ours is tried."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def furnish(root: Path, prefix: Path) -> None:
    """Put a Python into a root, what it must do there, and certificates of our own."""
    shutil.copytree(prefix, root / "python", symlinks=True)
    shutil.copy(Path(__file__).with_name("portable.py"), root / "portable.py")
    _certificates(root / "certificates")


def inside(root: Path, *words: str) -> str:
    """Run the Python in a root with words of its command line, and return what it printed."""
    script = (
        'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && root="$1" && shift &&'
        ' exec env -i PATH="$PATH" chroot "$root" /python/bin/python3.14 -I "$@"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", root, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tags_of(prefix: Path) -> set[str]:
    """Return the platforms whose wheels the pip of a builder takes, on this machine."""
    code = (
        "from pip._vendor.packaging.tags import sys_tags; print(*{t.platform for t in sys_tags()})"
    )
    words: list[str | Path] = [prefix / "bin/python3", "-I", "-c", code]
    return set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())


def _certificates(folder: Path) -> None:
    """Make an authority, and a server's certificate by it."""
    folder.mkdir()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    constraints = ("-addext", "basicConstraints=critical,CA:TRUE")
    usage = ("-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "authority.key", "-out",
            "authority.pem", "-subj", "/CN=authority", *constraints, *usage)  # fmt: skip
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr",
            "-subj", "/CN=localhost")  # fmt: skip
    (folder / "ext").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "authority.pem", "-CAkey", "authority.key",
            "-CAcreateserial", "-out", "server.pem", "-extfile", "ext")  # fmt: skip
