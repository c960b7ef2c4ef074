"""Write a tiny real wheel, to see whether pip installs one without any index."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

COMMAND = "contained-hello"
ANSWER = "hello from a contained wheel"

_INFO = "contained_hello-1.0.dist-info"
_FILES = {
    "contained_hello.py": f'def main():\n    print("{ANSWER}")\n',
    f"{_INFO}/METADATA": "Metadata-Version: 2.1\nName: contained-hello\nVersion: 1.0\n",
    f"{_INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: contain-python\n"
    "Root-Is-Purelib: true\nTag: py3-none-any\n",
    f"{_INFO}/entry_points.txt": f"[console_scripts]\n{COMMAND} = contained_hello:main\n",
}


def write_wheel(directory: Path) -> Path:
    """Write the wheel into a directory and return its path."""
    record = "".join(_record_line(name, text) for name, text in _FILES.items())
    files = {**_FILES, f"{_INFO}/RECORD": f"{record}{_INFO}/RECORD,,\n"}
    path = directory / "contained_hello-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def _record_line(name: str, text: str) -> str:
    data = text.encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"
