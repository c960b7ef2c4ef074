"""What a finished Python is judged by: data, for ours from the recipe, for any other by default."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from contain_python.elf import read_elf
from contain_python.errors import ToolchainError
from contain_python.model import FlavourName
from contain_python.process import output
from contain_python.recipe import Allowance, Recipe

#: The C library's own parts, under glibc's and musl's names.
_LIBC = (
    "libc.so.6",
    "libm.so.6",
    "libmvec.so.1",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libcrypt.so.*",
    "libresolv.so.2",
    "libnsl.so.*",
    "ld-linux*.so.*",
    "libc.musl-*.so.1",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libatomic.so.1",
)

#: What CPython's own extension modules use, in the versions that distributions have carried.
_LIBRARIES = (
    "libz.so.1",
    "libz-ng.so.*",
    "libbz2.so.1*",
    "liblzma.so.5",
    "libzstd.so.1",
    "libssl.so.*",
    "libcrypto.so.*",
    "libsqlite3.so.0",
    "libffi.so.*",
    "libexpat.so.1",
    "libmpdec.so.*",
    "libuuid.so.1",
    "libreadline.so.*",
    "libedit.so.*",
    "libncurses*.so.*",
    "libpanel*.so.*",
    "libtinfo*.so.*",
    "libgdbm*.so.*",
    "libdb-*.so",
    "libtirpc.so.*",
    "libtcl*.so*",
    "libtk*.so*",
    "libX11.so.6",
)

#: Modules of the standard library that need a library which is not bundled.
_WITHOUT_GPL = ("crypt", "dbm.gnu", "dbm.ndbm")

#: What an interpreter offers: CPython's own names, and what linkers and C libraries put there.
OWN_SYMBOLS = (
    "Py*",
    "_Py*",
    "PY_*",
    "__*",
    "_IO_stdin_used",
    "_end",
    "_edata",
    "_fini",
    "_init",
    "_start",
    "_start_c",
    "data_start",
    "environ",
    "_environ",
    "main",
)

DEFAULT_NEEDED = _LIBC + _LIBRARIES

#: What a flavour of ours says of itself (identity.py) names the prefix that it was built for.
_OURS = Allowance(
    path="lib/python3.*/contain-python.json", why="it tells verify what to search for"
)

#: The dynamic loaders by which Linux distributions start programs.
LOADERS = (
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-linux-armhf.so.3",
    "/lib/ld-linux-riscv64-lp64d.so.1",
    "/lib64/ld64.so.2",
    "/lib/ld64.so.1",
    "/lib/ld-musl-*.so.1",
)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is asked of one Python; the defaults are for one that we know nothing about.

    `needed` and `loaders` are patterns of permitted sonames and program interpreters; `glibc` is
    the highest version an ELF file may require ("" only reports it); `not_promised` names modules
    that may be absent, each with its submodules; `promised` names more that must be present than
    the interpreter's own list and the files on the disk show; `processor` is the x86 level that the
    loader must ask for ("x86-64-v3"; "" for none); `exports` are patterns of the symbols that the
    interpreter may offer to what it loads (() for any); `pie` is whether it must be position
    independent. pip and headers that are there work or fail
    the check even where they are not promised.
    """

    needed: tuple[str, ...] = DEFAULT_NEEDED
    loaders: tuple[str, ...] = LOADERS
    glibc: str = ""
    prefix_allowed: tuple[Allowance, ...] = ()
    promised: tuple[str, ...] = ()
    not_promised: tuple[str, ...] = ()
    pip_promised: bool = False
    headers_promised: bool = False
    cet_enforced: bool = False
    processor: str = ""
    bytecode_required: bool = False
    exports: tuple[str, ...] = ()
    pie: bool = True

    def permits(self, soname: str) -> bool:
        """Return whether an ELF file may need this soname from the distribution."""
        return any(fnmatchcase(soname, pattern) for pattern in self.needed)

    def knows_loader(self, path: str) -> bool:
        """Return whether this is the path of a distribution's dynamic loader."""
        return any(fnmatchcase(path, pattern) for pattern in self.loaders)

    def excuses(self, module: str) -> bool:
        """Return whether a module, or a package above it, is not promised."""
        parts = module.split(".")
        parents = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
        return any(fnmatchcase(name, pattern) for name in parents for pattern in self.not_promised)


def rules_for(
    recipe: Recipe,
    flavour: FlavourName,
    version: str,
    *,
    promised: tuple[str, ...] = (),
    cet_enforced: bool = False,
) -> Rules:
    """Return the rules by which one flavour of our own build is judged."""
    removing = [
        rule
        for rule in (*recipe.strip.tests, *recipe.prune)
        if flavour in rule.flavours and rule.applies(version)
    ]
    bundled = recipe.build.linkage == "bundled"
    removed = [module for rule in removing for module in rule.modules]
    return Rules(
        needed=recipe.verify.needed or DEFAULT_NEEDED,
        glibc=recipe.verify.glibc,
        prefix_allowed=(*recipe.verify.prefix_allowed, _OURS),
        promised=promised,
        not_promised=(
            *recipe.modules.disabled,
            *recipe.modules.optional,
            *removed,
            *(_WITHOUT_GPL if bundled else ()),
        ),
        pip_promised=flavour == "builder",
        headers_promised=flavour == "builder",
        cet_enforced=cet_enforced,
        processor=recipe.tuning.cpu,
        bytecode_required=True,
        exports=OWN_SYMBOLS if bundled else (),
        pie=recipe.tuning.pie,
    )


def toolchain_has_cet(compiler: str = "gcc") -> bool:
    """Return whether the compiler's crt1.o carries IBT and SHSTK, without which ld drops them.

    Raises ToolchainError if the compiler does not run, CheckError if the object is damaged.
    """
    path = Path(output([compiler, "-print-file-name=crt1.o"], error=ToolchainError).strip())
    facts = read_elf(path) if path.is_file() else None
    return bool(facts and facts.ibt and facts.shstk)
