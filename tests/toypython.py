"""A toy CPython: a source tarball that the real pipeline turns into both flavours in seconds.

`tests/toypython/` holds its configure, Makefile and C sources; they take and do what CPython's own
do, only less of it. The standard library is a small part of the machine's own Python's (WITH).

What is real: every command, the compiled and hardened ELF files, their debug symbols, the files
that name the prefix, the byte-code, virtual environments, extension modules built against it.
What is not:

- `bin/python3.X` is a small compiled program that becomes (execv) the machine's own interpreter
  under its own name, so the checks run *that* interpreter with the toy's prefix. A copy would not
  pass: Debian links its interpreter neither position independent nor with full RELRO.
- Extension modules that link libraries (_ssl, _sqlite3, …) are not there: the recipe disables
  them. Those that the machine's interpreter has built in (_struct, zlib, …) are.
- `Python.h` is a stub, enough for extension modules with one function.
- pip is a toy that knows `--version` and `install WHEEL`.
- Debian's site-packages layout (dist-packages, posix_local) is turned back into upstream's.
"""

from __future__ import annotations

import functools
import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contain_python.files import sha256
from contain_python.toolchain_table import table

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = Path(__file__).resolve().parent / "toypython"

PREFIX = "/opt/toy/python"

#: The time stamp of the newest file in the source, and so of everything that is built from it.
EPOCH = 1_700_000_000

#: What the toy's standard library has of the machine's; a name that a release lacks is left out.
WITH = (
    "__future__ _aix_support _android_support _apple_support _collections_abc _colorize "
    "_compat_pickle _compression _markupbase _opcode_metadata _osx_support _py_abc _pydatetime "
    "_pyrepl _sitebuiltins _strptime _threading_local _weakrefset abc argparse ast base64 bisect "
    "calendar codecs codeop collections compileall configparser contextlib copy copyreg csv "
    "dataclasses datetime difflib dis email enum filecmp fnmatch functools genericpath getopt "
    "getpass gettext glob gzip hashlib heapq hmac html http importlib inspect io ipaddress json "
    "keyword linecache locale logging mimetypes ntpath numbers nturl2path opcode operator os "
    "pathlib pickle pkgutil platform posixpath pprint py_compile pydoc queue quopri random re "
    "reprlib runpy selectors shlex shutil signal site socket socketserver sre_compile "
    "sre_constants sre_parse stat string stringprep struct subprocess sysconfig tarfile tempfile "
    "textwrap threading token tokenize traceback types typing urllib venv warnings weakref zipfile "
    "zipimport"
)

#: Encodings are many; these are used.
_ENCODINGS = ("__init__", "aliases", "ascii", "cp437", "idna", "latin_1", "punycode", "utf_8")

#: Packages that a recipe removes, with something in each.
_STUBS = {
    "test/__init__.py": "",
    "test/support/__init__.py": "",
    "test/test_toy.py": "raise SystemExit('the toy tests nothing')\n",
    "idlelib/__init__.py": "",
    "idlelib/pyshell.py": "import tkinter\n",
    "pydoc_data/__init__.py": "",
    "pydoc_data/topics.py": "topics = {}\n",
}

_FACTS = """
import importlib.machinery, json, os, platform, sys, sysconfig
print(json.dumps({
    "executable": os.path.realpath(sys.executable),
    "series": "%d.%d" % sys.version_info[:2],
    "stdlib": sysconfig.get_path("stdlib"),
    "sysconfigdata": sysconfig._get_sysconfigdata_name(),
    "config_directory": os.path.basename(os.path.dirname(sysconfig.get_makefile_filename())),
    "suffix": importlib.machinery.EXTENSION_SUFFIXES[0],
    "builtin": sys.builtin_module_names,
    "stdlib_names": sorted(sys.stdlib_module_names),
}))
"""


@dataclass(frozen=True, kw_only=True)
class Lent:
    """The machine's own Python, which lends the toy its interpreter and its library."""

    executable: str
    series: str
    stdlib: str
    sysconfigdata: str
    config_directory: str
    suffix: str
    builtin: tuple[str, ...]
    stdlib_names: tuple[str, ...]


@functools.cache
def lent() -> Lent:
    """Return the distribution's Python, or else the one that runs the tests."""
    for candidate in ("/usr/bin/python3", sys._base_executable):  # type: ignore[attr-defined]
        if shutil.which(candidate):
            done = subprocess.run(
                [candidate, "-I", "-c", _FACTS], capture_output=True, text=True, check=True
            )
            facts = Lent(**json.loads(done.stdout))
            if tuple(map(int, facts.series.split("."))) >= (3, 11):
                return facts
    raise RuntimeError("the toy needs a Python 3.11 or later in /usr/bin")


@functools.cache
def version() -> str:
    """Return the toy's version: of the lent series, and newer than any release."""
    return f"{lent().series}.99"


def member(name: str, **attributes: object) -> tarfile.TarInfo:
    """Return a tar member below the source's only directory, if `name` is relative and plain."""
    info = tarfile.TarInfo(name)
    info.mtime = EPOCH - 1000
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def top() -> str:
    """Return the name of the source's only directory."""
    return f"Python-{version()}"


def write_tar(path: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """Write a tarball of exactly these members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:xz", preset=0) as tar:
        for info, data in members:
            if info.isreg():
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def write_source(folder: Path, changes: Mapping[str, str] | None = None) -> Path:
    """Write the toy's source tarball into a folder; `changes` gives files another content."""
    files = {**_templates(), **_library(), **{k: v.encode() for k, v in (changes or {}).items()}}
    newest = "Misc/README"
    members = [
        (
            member(
                f"{top()}/{name}",
                mode=0o755 if name == "configure" else 0o644,
                mtime=EPOCH if name == newest else EPOCH - 1000,
            ),
            data,
        )
        for name, data in sorted(files.items())
    ]
    return write_tar(folder / f"{top()}.tar.xz", members)


@functools.cache
def _templates() -> dict[str, bytes]:
    """Return the files that the toy has of its own."""
    names = [
        path.relative_to(TEMPLATES).as_posix()
        for path in sorted(TEMPLATES.rglob("*"))
        if path.is_file() and path.parent.name not in ("Lib", "pip")
    ]
    files = {name: (TEMPLATES / name).read_bytes() for name in names}
    del files["contain.toml.in"]
    files["Tools/generate.py"] = files.pop("Tools/generate.py.in")
    facts = lent()
    soabi = facts.suffix.strip(".").removesuffix(".so")
    files["Misc/facts.mk"] = (
        f"VERSION=\t{facts.series}\nLENT=\t{facts.executable}\n"
        f"EXT_SUFFIX=\t{facts.suffix}\nSOABI=\t{soabi}\n"
        f"SYSCONFIGDATA=\t{facts.sysconfigdata}\nCONFIG_DIRECTORY=\t{facts.config_directory}\n"
    ).encode()
    return files


@functools.cache
def _library() -> dict[str, bytes]:
    """Return the toy's standard library."""
    stdlib = Path(lent().stdlib)
    paths = [stdlib / f"{name}.py" for name in WITH.split()]
    paths += [path for name in WITH.split() for path in (stdlib / name).rglob("*.py")]
    paths += [stdlib / "encodings" / f"{name}.py" for name in _ENCODINGS]
    files = {
        path.relative_to(stdlib).as_posix(): _upstream(path.read_bytes())
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }
    files.update({name: text.encode() for name, text in _STUBS.items()})
    files["ensurepip/__init__.py"] = (TEMPLATES / "Lib/ensurepip.py.in").read_bytes()
    files["ensurepip/__main__.py"] = (TEMPLATES / "Lib/ensurepip_main.py.in").read_bytes()
    files["ensurepip/_bundled/pip-1.0-py3-none-any.whl"] = _pip_wheel()
    return {f"Lib/{name}": data for name, data in files.items()}


def _upstream(data: bytes) -> bytes:
    """Return a source of the standard library without Debian's own layout of site-packages."""
    data = data.replace(b"prefix_scheme = 'posix_local'", b"prefix_scheme = 'posix_prefix'")
    return data.replace(b'"dist-packages"', b'"site-packages"')


def _pip_wheel() -> bytes:
    info = "pip-1.0.dist-info"
    files = {
        "pip/__init__.py": b'__version__ = "1.0"\n',
        "pip/__main__.py": b"import sys\nfrom pip.main import main\nsys.exit(main())\n",
        "pip/main.py": (TEMPLATES / "Lib/pip/main.py.in").read_bytes(),
        "pip/_vendor/__init__.py": b"",
        "pip/_vendor/distlib/__init__.py": b"",
        "pip/_vendor/distlib/t64.exe": b"MZ: a launcher for Windows\n" * 20,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: pip\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": b"[console_scripts]\npip = pip.main:main\n"
        b"pip3 = pip.main:main\n",
        f"{info}/RECORD": b"",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for name, data in files.items():
            wheel.writestr(zipfile.ZipInfo(name, (2023, 11, 14, 0, 0, 0)), data)
    return buffer.getvalue()


def disabled_modules() -> list[str]:
    """Return the modules that need a library: the toy is built without any."""
    names = {module for entry in table().libraries for module in entry.modules}
    return sorted(names)


def optional_modules() -> list[str]:
    """Return the modules of a standard library that the toy does not have."""
    shipped = {name.split("/")[1].removesuffix(".py") for name in _library()}
    names = set(lent().stdlib_names) - shipped - set(lent().builtin) - set(disabled_modules())
    # Built into Debian's interpreter; it needs the package xml.
    names.add("_elementtree")
    return sorted(name for name in names if not name.startswith("_frozen_importlib"))


def write_recipe(folder: Path, changes: Mapping[str, str] | None = None) -> Path:
    """Write the toy's recipe, with the lock file beside it; `changes` replaces texts in it."""
    text = (TEMPLATES / "contain.toml.in").read_text(encoding="utf-8")
    text = text.replace("@DISABLED@", json.dumps(disabled_modules()))
    text = text.replace("@OPTIONAL@", json.dumps(optional_modules()))
    for old, new in (changes or {}).items():
        if old not in text:
            raise ValueError(f"the toy's recipe does not have {old!r}")
        text = text.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "releases.lock", folder)
    recipe = folder / "contain.toml"
    recipe.write_text(text, encoding="utf-8")
    return recipe


@dataclass(frozen=True, kw_only=True)
class Toy:
    """A source and a recipe, and the directories of a build."""

    folder: Path
    source: Path
    recipe: Path

    @property
    def build(self) -> Path:
        """Return the workspace of the toy's release."""
        return self.folder / "build" / version()

    @property
    def dist(self) -> Path:
        """Return the output directory."""
        return self.folder / "dist"

    @property
    def options(self) -> list[str]:
        """Return the options that any command about this toy needs."""
        return self.given()

    def given(self, **changed: str | Path) -> list[str]:
        """Return these options, some of them with another value."""
        values: dict[str, str | Path] = {
            "source": self.source,
            "sha256": sha256(self.source),
            "recipe": self.recipe,
            "workspace": self.folder / "build",
            "dist": self.dist,
            "cache": self.folder / "cache",
        }
        return [f"--{name}={value}" for name, value in {**values, **changed}.items()]


def make_toy(
    folder: Path,
    *,
    source: Path | None = None,
    files: Mapping[str, str] | None = None,
    recipe: Mapping[str, str] | None = None,
) -> Toy:
    """Return a toy in a folder of its own: its source (or a given one) and its recipe, changed."""
    return Toy(
        folder=folder,
        source=source or write_source(folder / "source", files),
        recipe=write_recipe(folder / "recipe", recipe),
    )


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """Mount a file system of so many bytes; only root may."""
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs"]
    subprocess.run(["mount", *options, str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def processes_in(folder: Path) -> list[str]:
    """Return the processes that work below a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def command(*words: str | Path) -> list[str]:
    """Return the argv of `invoke` with these words."""
    return [sys.executable, "-m", "invoke", *map(str, words)]


def invoke(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `invoke` from the root of the repository, as a user does."""
    return subprocess.run(
        command(*words), cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
