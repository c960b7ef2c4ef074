"""Make an installed Python derive its prefix at run time, wherever it is moved.

What each rewrite does, and why it is needed, is told in docs/relocation.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from contain_python.errors import CompileError
from contain_python.files import copy_tree, sorted_files, write_whole
from contain_python.ledger import Ledger
from contain_python.model import Prefix
from contain_python.records import update_records
from contain_python.trees import whole_directory
from contain_python.workspace import Workspace

#: Variables that name a program: what a user's machine has, not what this one was built with.
PORTABLE_PROGRAMS = {
    "CC": "cc",
    "CXX": "c++",
    "LINKCC": "cc",
    "LDSHARED": "cc",
    "LDCXXSHARED": "c++",
    "BLDSHARED": "cc",
    "AR": "ar",
    "RANLIB": "ranlib",
    "LLVM_AR": "ar",
    "CPP": "cc",
}

_LAUNCHER = """\
#!/bin/sh
'''exec' "$(dirname -- "$(readlink -f -- "$0")")/{python}" "$0" "$@"
' '''
"""

#: No first line, nor the three that pip writes for a long one, is longer (a path has 4096).
_SHEBANG_BYTES = 8192

_CONFIG_PREFIX = """\
prefix_real=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
case $prefix_real in
*[[:space:]]*) echo "$0: these flags cannot carry the spaces of $prefix_real" >&2 ;;
esac"""

#: Where python3-config answers for programs that embed Python.
_EMBEDDING = '    LIBS="$LIBS_EMBED"\n'
_NO_LIBPYTHON = "this Python has no libpython to embed (libpython = both builds one)"

#: What `venv` does first, in every series from 3.11 to 3.15.
_VENV = """\
        env_dir = os.path.abspath(env_dir)
        context = self.ensure_directories(env_dir)
"""
_VENV_ASKS = """\
        env_dir = os.path.abspath(env_dir)
        if self.with_pip:
            from importlib.util import find_spec
            if find_spec('ensurepip') is None:
                raise ModuleNotFoundError(
                    'this Python has no ensurepip to install pip from: make'
                    ' the environment with --without-pip (with_pip=False),'
                    ' or with a Python that has it, such as the builder',
                    name='ensurepip')
        context = self.ensure_directories(env_dir)
"""

#: Other tools read this file without importing it: PyO3 feeds its text to a Python, for which
#: it is "<stdin>"; crossenv loads the byte-code from __pycache__ too, compares both, and writes all
#: names that are left behind into a new file.
_SYSCONFIG = '''\
"""Build-time variables; the prefix is wherever this file stands."""
import os as __os, sys as __sys

__path = globals().get("__file__", "")
if __os.path.isfile(__path):
    __path = __os.path.dirname(__os.path.abspath(__path)).removesuffix("/__pycache__")
    __prefix = __os.path.dirname(__os.path.dirname(__path))
else:
    __prefix = __sys.base_prefix

build_time_vars = {{
{items}
}}

del __os, __sys, __path, __prefix
'''


def relocate(workspace: Workspace, installed: Prefix) -> tuple[Prefix, Ledger]:
    """Copy the installed tree and rewrite every file that names the prefix or the build."""
    with whole_directory(workspace.place("relocated")) as root:
        copy_tree(installed.root, root)
        rewriter = _Rewriter(root, installed)
        rewriter.run()
    return (
        Prefix(built=installed.built, root=workspace.place("relocated"), prefix=installed.prefix),
        rewriter.ledger,
    )


class _Rewriter:
    def __init__(self, root: Path, installed: Prefix) -> None:
        self.root = root
        self.prefix = installed.prefix
        self.python = installed.built.configured.python
        self.build = str(installed.source.root)
        self.source_name = installed.release.source_name
        self.ledger = Ledger("relocate")
        self.embeds = any((self.root / "lib").glob("libpython3.*"))

    def run(self) -> None:
        library = self.root / "lib" / self.python
        self._each(library.glob("_sysconfigdata_*.py"), "sysconfig", self._sysconfigdata)
        self._each(library.glob("config-*/Makefile"), "makefile", self._makefile)
        self._each(library.glob("build-details.json"), "build-details", self._build_details)
        if not self.embeds:
            self._withdraw("lib/pkgconfig/python*-embed.pc")
        self._each((self.root / "lib/pkgconfig").glob("*.pc"), "pkg-config", self._pkg_config)
        self._each(self.root.glob(f"bin/{self.python}-config"), "config", self._config)
        self._each(library.glob("venv/__init__.py"), "venv", asking_for_ensurepip)
        for path in sorted(library.glob("_sysconfig_vars_*.json")):
            self.ledger.remove(
                self.root,
                path,
                "sysconfig-json",
                "JSON cannot derive a prefix, and nothing reads it",
            )
        self._scripts()
        update_records(self.root, self.ledger)

    def _withdraw(self, pattern: str) -> None:
        """Remove what tells programs that embed Python of a library that is not there."""
        for path in sorted(self.root.glob(pattern)):
            self.ledger.remove(self.root, path, "embedding", _NO_LIBPYTHON)

    def _each(self, found: Iterable[Path], rule: str, rewrite: Callable[[str], str]) -> None:
        for path in sorted(p for p in found if not p.is_symlink()):
            self._replace(path, rule, rewrite(path.read_text(encoding="utf-8")))

    def _replace(self, path: Path, rule: str, text: str) -> None:
        before = path.stat()
        if path.read_bytes() != text.encode():
            write_whole(path, text, mode=before.st_mode & 0o777)
            self.ledger.changed(self.root, path, rule, _WHY[rule], before.st_size)

    def _neutral(self, text: str) -> str:
        text = text.replace(self.build, self.source_name)
        # Bundled libraries were beside the source.
        return text.replace(str(Path(self.build).parent), "/usr/src")

    def _derived(self, text: str, expression: str) -> str:
        return expression.join(split_at_prefix(text, self.prefix))

    def _sysconfigdata(self, text: str) -> str:
        return render_sysconfigdata(portable(load_sysconfigdata(self._neutral(text))), self.prefix)

    def _makefile(self, text: str) -> str:
        text = re.sub(
            rf"^({'|'.join(PORTABLE_PROGRAMS)})=([ \t]*)(\S.*)$",
            lambda match: f"{match[1]}={match[2]}{_portable_line(match[1], match[3])}",
            self._neutral(text),
            flags=re.MULTILINE,
        )
        # Which Python configure found here is nobody's business elsewhere.
        text = re.sub(
            r"^(PYTHON_FOR_REGEN\??=[ \t]*)\S.*$", r"\g<1>python3", text, flags=re.MULTILINE
        )
        derived = "prefix:=\t\t$(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../../..)"
        text = re.sub(r"^prefix=.*$", lambda _: derived, text, flags=re.MULTILINE)
        return self._derived(text, "$(prefix)")

    def _build_details(self, text: str) -> str:
        data = json.loads(text)
        relative = _relative_paths(data, self.prefix)
        assert isinstance(relative, dict)  # noqa: S101  for mypy: data is an object
        relative["base_prefix"] = "../.."
        return json.dumps(relative, indent=2) + "\n"

    def _pkg_config(self, text: str) -> str:
        text = re.sub(r"^prefix=.*$", "prefix=${pcfiledir}/../..", text, flags=re.MULTILINE)
        return self._derived(text, "${prefix}")

    def _config(self, text: str) -> str:
        derived = _CONFIG_PREFIX
        text = text.replace('prefix_real=$(installed_prefix "$0")', derived)
        if not self.embeds:
            text = text.replace(_EMBEDDING, f'    echo "$0: {_NO_LIBPYTHON}" >&2\n    exit 1\n')
        return self._derived(self._neutral(text), "${prefix_real}")

    def _scripts(self) -> None:
        shebang = shebang_of(self.prefix)
        for path in list(sorted_files(self.root)):
            with path.open("rb") as stream:
                match = shebang.match(stream.read(_SHEBANG_BYTES))
            if not match:
                continue
            if path.parent.name == "bin":
                first = _LAUNCHER.format(python=self.python)
            else:
                first = f"#!/usr/bin/env {self.python}\n"
            body = path.read_bytes()[match.end() :].decode()
            self._replace(path, "shebang", first + body)


_WHY = {
    "sysconfig": "the prefix is derived from the file's own place; compilers have portable names",
    "makefile": "the prefix is derived from the file's own place; compilers have portable names",
    "build-details": "paths are relative to the file (PEP 739)",
    "pkg-config": "the prefix is derived from ${pcfiledir}",
    "config": "the prefix is derived from the script's own place, through links",
    "venv": "where ensurepip was removed, it says so before it makes anything",
    "shebang": "the interpreter is found beside the script, through links",
}


def shebang_of(prefix: str) -> re.Pattern[bytes]:
    """Return what begins the scripts of a prefix, wherever it stood (DESTDIR) when they were made.

    pip names the interpreter that ran it, and through /bin/sh if the path is long or has spaces.
    """
    python = re.escape(f"{prefix}/bin/python".encode()) + rb"[\d.]*t?"
    direct = rb"#![^\s\"]*" + python + rb"(?: [^\n]*)?\n"
    through_shell = rb"#!/bin/sh\n'''exec' [^\n]*" + python + rb"[\" ][^\n]*\n' '''\n"
    return re.compile(direct + rb"|" + through_shell)


def asking_for_ensurepip(text: str) -> str:
    """Return the module `venv`, which looks for ensurepip first. Raises CompileError.

    Upstream's makes the environment, runs ensurepip in it, and leaves what it has made when that
    fails with no more than its exit status.
    """
    if text.count(_VENV) != 1:
        raise CompileError(
            "venv/__init__.py cannot be told to look for ensurepip first",
            expected=f"these lines, once:\n{_VENV.rstrip()}",
            found=f"{text.count(_VENV)} times",
            remedy="this release has another venv: see asking_for_ensurepip in stages/relocate.py",
        )
    return text.replace(_VENV, _VENV_ASKS)


def load_sysconfigdata(text: str) -> dict[str, str | int]:
    """Return the variables of a generated `_sysconfigdata` module, which may span many literals."""
    namespace: dict[str, dict[str, str | int]] = {}
    exec(compile(text, "_sysconfigdata", "exec"), namespace)  # noqa: S102  our own build wrote it
    return namespace["build_time_vars"]


def portable(variables: dict[str, str | int]) -> dict[str, str | int]:
    """Return sysconfig's variables with program names that any machine has."""
    return {
        name: _portable_line(name, value)
        if name in PORTABLE_PROGRAMS and isinstance(value, str)
        else value
        for name, value in variables.items()
    }


def _portable_line(name: str, line: str) -> str:
    words = line.split()
    if name in ("LDSHARED", "LDCXXSHARED", "BLDSHARED"):
        return f"{PORTABLE_PROGRAMS[name]} -shared"
    if name == "CPP":
        return f"{PORTABLE_PROGRAMS[name]} -E"
    return PORTABLE_PROGRAMS[name] if words else line


def render_sysconfigdata(variables: dict[str, str | int], prefix: str) -> str:
    """Return a `_sysconfigdata` module whose values follow the place where it stands."""
    items = [
        f"{name!r}: {_expression(value, prefix)}," for name, value in sorted(variables.items())
    ]
    return _SYSCONFIG.format(items="\n".join(items))


def _expression(value: str | int, prefix: str) -> str:
    if not isinstance(value, str) or prefix not in value:
        return repr(value)
    parts = split_at_prefix(value, prefix)
    return (
        " + __prefix + ".join(repr(part) for part in parts)
        .removeprefix("'' + ")
        .removesuffix(" + ''")
    )


def split_at_prefix(text: str, prefix: str) -> list[str]:
    """Split a text at each mention of the prefix, whole path components only."""
    return re.split(re.escape(prefix) + r"(?![\w.+-])", text)


def _relative_paths(value: object, prefix: str) -> object:
    if isinstance(value, dict):
        return {key: _relative_paths(item, prefix) for key, item in value.items()}
    if isinstance(value, list):
        return [_relative_paths(item, prefix) for item in value]
    if isinstance(value, str) and value.startswith(prefix + "/"):
        return "." + value.removeprefix(prefix)
    return value
