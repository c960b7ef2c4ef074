"""Verify an environment that was made: whole, working, at home where it will run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from contain_python.checks import installed, libraries
from contain_python.checks.libraries import Place
from contain_python.checks.text import search
from contain_python.distribution import distribution_package_of
from contain_python.elf import read_elf
from contain_python.errors import CheckError, UsageError
from contain_python.files import sorted_entries
from contain_python.findings import Maker, counted
from contain_python.ledger import Ledger
from contain_python.model import CheckResult, Finding
from contain_python.probe import answer, follow, probe_text
from contain_python.runtime_packages import RuntimePackage, packages_of_tree, read_needed
from contain_python.subject import is_telling
from contain_python.wheels import removed
from contain_python.wheels.model import Wheelhouse

_SITE = "lib/python3.*/site-packages"


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What is known of where an environment will run: its files, or its packages, or nothing."""

    root: Path | None = None
    packages: frozenset[str] | None = None

    @property
    def is_known(self) -> bool:
        """Return whether anything was told of it."""
        return self.root is not None or self.packages is not None


@dataclass(frozen=True, kw_only=True)
class Made:
    """An environment, and what it was made from.

    `builders` are directories that are in the builder alone; `prefix` is that of the interpreter;
    `installs` tells that the runtime will install the packages which are found to be needed.
    """

    root: Path
    house: Wheelhouse
    prefix: Path
    compiler: str
    builders: frozenset[Path]
    ledger: Ledger
    runtime: Runtime
    installs: bool


def find_runtime(named: str) -> Runtime:
    """Return what a manifest or a directory tells of the runtime. Raises UsageError."""
    path = Path(named)
    if not named:
        return Runtime()
    if path.is_dir():
        return Runtime(root=path.resolve())
    if not path.is_file():
        raise UsageError(
            f"--runtime cannot be {named!r}: there is no such file or directory",
            expected="the manifest of the runtime flavour (dist/python-…-runtime.json), or the"
            " directory in which the runtime image's files are laid out",
        )
    return Runtime(packages=frozenset(one.name for one in read_needed(path)))


def verify(made: Made) -> tuple[tuple[RuntimePackage, ...], tuple[CheckResult, ...]]:
    """Return the packages that the environment needs at run time, and what was checked."""
    packages, _ = packages_of_tree(made.root, made.compiler)
    python = made.root / "bin" / "python"
    refuse_another_base(python, made.prefix)
    argv = [str(python), "-I", "-B", "-c", probe_text("environment")]
    # Not foreign: what it has installed was chosen, and is run by the user who chose it.
    outcome = follow(argv, cwd=Path("/"), text="null")
    expected: installed.Versions = {
        canonicalize_name(wheel.name): wheel.version for wheel in made.house.wheels
    }
    whole = installed.judged(answer("environment", outcome, python), expected)
    if whole is None:
        raise CheckError(f"{made.root} is no virtual environment")
    results = [whole, _libraries(made, packages), _places(made)]
    results += [removed.check(site, made.root, made.ledger.changes) for site in _sites(made)]
    return packages, tuple(results)


def refuse_another_base(python: Path, prefix: Path) -> None:
    """Raise CheckError if an environment runs with the library of another Python than its own.

    One that was made through a link to a Python that finds itself by its name alone does.
    """
    argv = [str(python), "-I", "-B", "-c", "import sys; print(sys.base_prefix)"]
    outcome = follow(argv, cwd=Path("/"), text="")
    found = outcome.stdout.strip()
    if not outcome.succeeded or Path(found).resolve() != prefix.resolve():
        raise CheckError(
            f"{python} does not run with the Python that it was made from",
            expected=f"the standard library in {prefix}",
            found=f"that in {found}" if outcome.succeeded else outcome.reason,
            remedy="name the executable itself with --interpreter, not a link to it",
        )


def _sites(made: Made) -> list[Path]:
    return sorted(made.root.glob(_SITE)) if made.ledger.changes else []


# --- libraries ----------------------------------------------------------------------------------


def _libraries(made: Made, packages: tuple[RuntimePackage, ...]) -> CheckResult:
    there = made.runtime.packages
    if there is not None and made.installs:
        there |= {one.name for one in packages}
    place = Place(environment=made.root, runtime=made.runtime.root, packages=there)
    result = libraries.check(place)
    told = () if made.runtime.is_known or made.installs else tuple(_from_outside(made, place))
    needs = ", ".join(map(str, packages)) or "none beside its own"
    return replace(
        result, examined=f"{result.examined}; of packages: {needs}", findings=result.findings + told
    )


def _from_outside(made: Made, place: Place) -> Iterator[Finding]:
    """Yield a note on each library that the runtime's Python does not bring along itself."""
    make = Maker(check="libraries")
    own = set(_own(made.prefix))
    libc = place.target.library("libc.so.6", libraries.machine(place))
    always = distribution_package_of(libc) if libc else None
    for need in libraries.outside(place):
        package = distribution_package_of(need.found) if need.found else None
        if package and package != always and need.library not in own:
            yield make.note(
                f"{need.distribution}: {need.file}",
                f"needs {need.library}, of {package.partition('=')[0]}, from the runtime",
                why="the runtime image may not have it",
                remedy="install it there: --packages FILE writes what is needed; --runtime tells"
                " what is there",
            )


def _own(prefix: Path) -> Iterator[str]:
    """Yield the libraries that the Python itself needs, which are therefore in its runtime."""
    for glob in ("bin/python3*", "lib/python3.*/lib-dynload/*.so", "lib/libpython3*"):
        for path in sorted(prefix.glob(glob)):
            facts = read_elf(path)
            yield from facts.needed if facts else ()


# --- places -------------------------------------------------------------------------------------


def _places(made: Made) -> CheckResult:
    """See that no file names a directory that is in the builder alone."""
    make = Maker(check="places")
    texts = tuple(
        str(place)
        for place in sorted(made.builders)
        if is_telling(str(place)) and not made.root.is_relative_to(place)
    )
    files = [path for path in sorted_entries(made.root) if path.is_file() and not path.is_symlink()]
    findings = [
        make.error(
            str(path.relative_to(made.root)),
            f"names {hit.text}, which is in the builder alone",
            why=f"it would be looked up where it is not: {hit.around!r}",
            remedy="its build system put it there: report it upstream, or prune the file by a rule",
        )
        for path in files
        for hit in search(path, texts)
    ]
    return CheckResult(
        check="places",
        examined=f"{counted(len(files), 'file')} for the directories of the build",
        findings=tuple(findings),
    )
