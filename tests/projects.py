"""Small source archives for tests of wheels: real C, real libraries, real mistakes."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

#: The time of every member, in seconds.
EPOCH = 1_700_000_000

_PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "{name}"
version = "{version}"
{more}
"""
_EXTENSION = """\
from setuptools import Extension, setup
module = Extension("{name}", ["{name}.c"], libraries={libraries})
setup(packages=[], py_modules=[], ext_modules=[module])
"""
_C = """\
#include <Python.h>
{declaration}
static PyObject *answer(PyObject *self, PyObject *none) {{ return PyUnicode_FromString({value}); }}
static PyMethodDef methods[] = {{{{"answer", answer, METH_NOARGS, ""}}, {{NULL, NULL, 0, NULL}}}};
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "{name}", "", -1, methods}};
PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModule_Create(&module); }}
"""
#: A build system of one file, which tells in its wheel as whom and with what it was run.
_TOOL = """\
import base64, hashlib, os, pathlib, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    told = {"user": os.getuid(), "settings": config_settings, "environment": dict(os.environ)}
    requires = pathlib.Path("requires").read_text()
    files = {
        "spied.py": f"told = {told!r}\\n",
        "contained_spied-1.dist-info/METADATA":
            f"Metadata-Version: 2.1\\nName: contained_spied\\nVersion: 1\\n{requires}",
        "contained_spied-1.dist-info/WHEEL":
            "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    return write(folder, "contained_spied-1-py3-none-any.whl", files)
def write(folder, name, files):
    record = f"{name.split('-py3')[0]}.dist-info/RECORD"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        lines = [f"{record},,"]
        for file, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            lines.append(f"{file},sha256={digest.decode().rstrip('=')},{len(text)}")
            wheel.writestr(file, text)
        wheel.writestr(record, "\\n".join(lines) + "\\n")
    return name
"""
_CLOCKED = """\
import time
from setuptools import setup
open("clocked.py", "w").write(f"at = {time.time_ns()}\\n")
setup(py_modules=["clocked"])
"""


def write_sdist(folder: Path, name: str, files: dict[str, str], *, version: str = "1") -> Path:
    """Write name-version.tar.gz with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}.tar.gz"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with tarfile.open(path, "w:gz") as tar:
        for file, text in {"PKG-INFO": metadata, **files}.items():
            member = tarfile.TarInfo(f"{name}-{version}/{file}")
            member.mtime, member.size = EPOCH, len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def extension(
    name: str, *, declaration: str = "", value: str = '"ok"', libraries: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return a project of one C module, whose answer() is a string."""
    return {
        "pyproject.toml": _PYPROJECT.format(name=name, version="1", more=""),
        "setup.py": _EXTENSION.format(name=name, libraries=list(libraries)),
        f"{name}.c": _C.format(name=name, declaration=declaration, value=value),
    }


def write_projects(folder: Path) -> Path:
    """Write every project's source archive; return the folder, for pip's --find-links."""
    squeezer = extension(
        "squeezer",
        declaration="#include <bzlib.h>",
        value="BZ2_bzlibVersion()",
        libraries=("bz2",),
    )
    sealed = extension(
        "sealed",
        declaration="#include <openssl/crypto.h>",
        value="OpenSSL_version(OPENSSL_VERSION)",
        libraries=("crypto",),
    )
    newer = extension(
        "newer",
        declaration="#include <sys/random.h>",
        value='(getrandom(NULL, 0, 0) ? "no" : "ok")',
    )
    plain = {
        "pyproject.toml": _PYPROJECT.format(
            name="plain", version="1", more='[project.scripts]\nplainly = "plain:main"'
        ),
        "setup.py": "from setuptools import setup\nsetup(packages=['plain', 'plain.tests'],"
        " package_data={'plain': ['*.h']})\n",
        "plain/__init__.py": "def main():\n    print('plainly')\n",
        "plain/tests/__init__.py": "",
        "plain/plain.h": "/* read at run time */\n",
        "plain/old.py": "print 'no longer Python'\n",
    }
    leaning = {
        "pyproject.toml": _PYPROJECT.format(
            name="leaning", version="1", more="dependencies = ['contained-plain>=1']"
        ),
        "setup.py": "from setuptools import setup\nsetup(py_modules=['leaning'])\n",
        "leaning.py": "def check():\n    from plain import tests\n    return tests\n",
    }
    clocked = {
        "pyproject.toml": _PYPROJECT.format(name="clocked", version="1", more=""),
        "setup.py": _CLOCKED,
    }
    broken = extension("broken") | {"broken.c": "int broken( {\n"}
    headless = extension("headless", declaration="#include <nowhere/to_be.h>")
    directory = extension("directory", declaration="#include <ldap.h>\n")
    for name, files in {
        "squeezer": squeezer,
        "sealed": sealed,
        "newer": newer,
        "plain": plain,
        "leaning": leaning,
        "clocked": clocked,
        "broken": broken,
        "headless": headless,
        "directory": directory,
    }.items():
        write_sdist(folder, f"contained-{name}".replace("-", "_"), renamed(files, name))
    return folder


def renamed(files: dict[str, str], name: str) -> dict[str, str]:
    """Give a project's distribution a name that no index has."""
    text = files["pyproject.toml"].replace(f'name = "{name}"', f'name = "contained_{name}"', 1)
    return {**files, "pyproject.toml": text}


def write_spied(folder: Path, *, requires: str = "") -> tuple[Path, Path]:
    """Write a source archive and the wheel of its build system, which tells what it was given."""
    tool: dict[str, Any] = {}
    exec(_TOOL, tool)  # noqa: S102  it is ours, above
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "contained_tool.py": _TOOL,
        "contained_tool-1.dist-info/METADATA": (
            "Metadata-Version: 2.1\nName: contained_tool\nVersion: 1\n"
        ),
        "contained_tool-1.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    name = tool["write"](folder, "contained_tool-1-py3-none-any.whl", files)
    system = '[build-system]\nrequires = ["contained_tool"]\nbuild-backend = "contained_tool"\n'
    spied = {"pyproject.toml": system, "requires": requires}
    return write_sdist(folder, "contained_spied", spied), folder / name
