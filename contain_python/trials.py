"""What several checks do with the Python under test: build an extension, try an environment."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.specifiers import SpecifierSet

from contain_python.confinement import hand_over
from contain_python.errors import CheckError
from contain_python.probe import Outcome, ask, attempt
from contain_python.subject import Subject

NAME = "contained"
ANSWER = "42"

SOURCE = """\
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "contained", "", -1, methods};
PyMODINIT_FUNC PyInit_contained(void) { return PyModule_Create(&module); }
"""

_SETUP = """\
from setuptools import Extension, setup
setup(name="contained", version="1", py_modules=[],
      ext_modules=[Extension("contained", ["contained.c"])])
"""

_IMPORT = "import sys; sys.path.insert(0, ''); import contained; print(contained.answer())"


def build_environment() -> dict[str, str]:
    """Return what a compiler may inherit of ours: where it is found, and where it may write."""
    return {"PATH": os.environ.get("PATH", os.defpath)}


def build_with_setuptools(subject: Subject, work: Path) -> tuple[str, str]:
    """Build and import the module with our own setuptools; return the problem, or why untried."""
    untried = _untried(subject)
    if untried:
        return "", untried
    project = work / "project"
    project.mkdir()
    (project / f"{NAME}.c").write_text(SOURCE, encoding="utf-8")
    hand_over(project)
    (project / "setup.py").write_text(_SETUP, encoding="utf-8")
    _copy_distribution(distribution("setuptools"), work / "packages")
    environment = {**build_environment(), "PYTHONPATH": str(work / "packages")}
    command = ["-s", "-B", "setup.py", "-q", "build_ext", "--inplace"]
    argv = [str(subject.executable), *command]
    built = attempt(argv, cwd=project, writable=project, environment=environment)
    return problem_of(built) or import_problem(subject.executable, project), ""


def _untried(subject: Subject) -> str:
    if not compiler():
        return "there is no C compiler"
    try:
        requires = distribution("setuptools").metadata["Requires-Python"] or ""
    except PackageNotFoundError:
        return "this tool's own environment lacks setuptools"
    if subject.version and not SpecifierSet(requires).contains(subject.version, prereleases=True):
        return f"our setuptools requires Python {requires}"
    return ""


def compiler() -> str:
    """Return the path of a C compiler, or ""."""
    return shutil.which("cc") or shutil.which("gcc") or ""


def _copy_distribution(found: Distribution, target: Path) -> None:
    for file in found.files or ():
        source = Path(str(file.locate()))
        if source.is_file() and ".." not in file.parts and file.suffix != ".pyc":
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / file)


def problem_of(outcome: Outcome) -> str:
    """Return why a command failed, or ""."""
    return "" if outcome.succeeded else outcome.reason


def import_problem(executable: Path, directory: Path) -> str:
    """Import the module built in `directory`, and return what is wrong with it, or ""."""
    outcome = attempt([executable, "-I", "-B", "-c", _IMPORT], cwd=directory)
    if outcome.succeeded and outcome.stdout.strip() != ANSWER:
        return f"the module answers {outcome.stdout.strip()!r}, not {ANSWER}"
    return problem_of(outcome)


def config_script(subject: Subject) -> Path:
    """Return where python3-config, under its full name, is or would be."""
    return subject.root / "bin" / f"{subject.executable.name}-config"


def build_with_config_script(subject: Subject, directory: Path) -> str:
    """Build and import the module with python3-config's flags; return the problem, or ""."""
    script = config_script(subject)
    if not script.exists():
        return f"there is no {script.name}"
    flags = []
    for option in ("--cflags", "--ldflags"):
        outcome = attempt([script, option], cwd=directory)
        if not outcome.succeeded:
            return f"{script.name} {option}: {outcome.reason}"
        flags.append(shlex.split(outcome.stdout))
    cflags, ldflags = flags
    target = f"{NAME}.so"
    argv = [compiler(), "-shared", "-fPIC", *cflags, f"{NAME}.c", "-o", target, *ldflags]
    return _compile(argv, subject, directory)


def build_with_sysconfig(subject: Subject, directory: Path) -> str:
    """Build and import the module with sysconfig's commands; return the problem, or ""."""
    try:
        answer = ask(subject.executable, "places", cwd=directory)
    except CheckError as problem:
        return problem.found
    variables = answer["variables"]
    names = ("LDSHARED", "CFLAGS", "CCSHARED")
    words = [word for name in names for word in shlex.split(variables.get(name, ""))]
    suffix = variables.get("EXT_SUFFIX", ".so")
    include = f"-I{answer['paths']['include']}"
    argv = [*words, include, f"{NAME}.c", "-o", NAME + suffix]
    return _compile(argv, subject, directory)


_EMBEDDER = "#include <Python.h>\nint main(void) { Py_Initialize(); return Py_FinalizeEx(); }\n"


def embedding_flags(subject: Subject) -> Iterator[tuple[str, list[str]]]:
    """Yield each file that tells how to embed this Python, and the flags that it gives."""
    script = config_script(subject)
    outcome = attempt([script, "--embed", "--cflags", "--ldflags"], cwd=subject.root)
    if outcome.succeeded:
        yield subject.relative(script), shlex.split(outcome.stdout)
    for path in sorted((subject.root / "lib" / "pkgconfig").glob("*-embed.pc")):
        values = expanded_pkg_config(path)
        yield subject.relative(path), shlex.split(f"{values['Cflags']} {values['Libs']}")


def link_embedding(subject: Subject, flags: list[str], directory: Path) -> str:
    """Link a program that embeds this Python, and no other; return the problem, or ""."""
    (directory / "embeds.c").write_text(_EMBEDDER, encoding="utf-8")
    argv = [compiler(), "embeds.c", "-o", "embeds", *flags, "-Wl,--trace"]
    linked = _built(argv, subject, directory)
    taken = [line for line in linked.stdout.splitlines() if "libpython" in Path(line).name]
    others = [line for line in taken if not Path(line).resolve().is_relative_to(subject.root)]
    if linked.succeeded and others:
        return f"{others[0]} is linked, which is not in the prefix"
    return problem_of(linked)


def expanded_pkg_config(path: Path) -> dict[str, str]:
    """Return the variables and fields of a .pc file as pkg-config expands them."""
    values = {"pcfiledir": str(path.parent)}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.match(r"([\w.]+)\s*[=:]\s*(.*)", line)
        if match:
            values[match[1]] = re.sub(
                r"\$\{([\w.]+)\}", lambda found: values.get(found[1], ""), match[2]
            )
    return values


def _compile(argv: list[str], subject: Subject, directory: Path) -> str:
    (directory / f"{NAME}.c").write_text(SOURCE, encoding="utf-8")
    return problem_of(_built(argv, subject, directory)) or import_problem(
        subject.executable, directory
    )


def _built(argv: list[str], subject: Subject, directory: Path) -> Outcome:
    """Run a compiler by the words of the Python under test, confined as it is."""
    return attempt(
        argv,
        cwd=directory,
        needs=[subject.root],
        writable=directory,
        environment=build_environment(),
    )


def environment_problem(home: Path, base: Path) -> str:
    """Return what is wrong with an environment made from a base prefix, or ""."""
    try:
        places = ask(home / "bin" / "python", "places", cwd=home, needs=[base])["sys"]
    except CheckError as problem:
        return problem.found
    if (places["prefix"], places["base_prefix"]) != (str(home), str(base)):
        return f"sys.prefix is {places['prefix']}, sys.base_prefix {places['base_prefix']}"
    return ""
