"""Whether this machine can run an executable: its processor, its dynamic loader, its glibc."""

from __future__ import annotations

import platform
from pathlib import Path

from packaging.version import Version

from contain_python.elf import read_elf

#: What uname calls the processors of ELF files.
_MACHINES = {
    "EM_X86_64": "x86_64",
    "EM_AARCH64": "aarch64",
    "EM_386": "i686",
    "EM_ARM": "armv7l",
    "EM_PPC64": "ppc64le",
    "EM_RISCV": "riscv64",
    "EM_S390": "s390x",
}


def why_not(executable: Path, root: Path = Path("/")) -> str:
    """Return why this machine cannot run an executable, "" if nothing is known against it.

    Emulation that the kernel was told of (binfmt_misc) is not looked for: what is emulated must
    not be taken for what was tried.
    """
    facts = read_elf(executable)
    if facts is None:
        return ""
    machine = _MACHINES.get(facts.machine, facts.machine)
    if machine != platform.machine():
        return f"it is for {machine}, and this machine is {platform.machine()}"
    loader = facts.interpreter
    if loader and not (root / loader.lstrip("/")).exists():
        return f"its dynamic loader {loader} is not on this machine"
    name, version = platform.libc_ver()
    if root == Path("/") and name == "glibc" and _is_later(facts.least_glibc, version):
        return f"it needs glibc {facts.least_glibc}, and this machine has {version}"
    return ""


def _is_later(needed: str, there: str) -> bool:
    return bool(needed) and Version(needed) > Version(there)
