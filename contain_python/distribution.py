"""The machine's distribution: its package managers, and which package a file came from."""

from __future__ import annotations

import functools
import logging
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from debian.copyright import Copyright, MachineReadableFormatError, NotMachineReadableError

from contain_python import process
from contain_python.errors import ContainError, ToolchainError
from contain_python.process import Line

# It warns of each file that names the format by its older address.
logging.getLogger(Copyright.__module__).setLevel(logging.ERROR)

#: What a package manager may inherit beyond what a build command may: the way to its mirrors.
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
_SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_APK_OWNER = re.compile(r"is owned by (?P<name>\S+)-(?P<version>\d\S*-r\d+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Packages:
    """Package names, by package manager."""

    apt: tuple[str, ...] = ()
    dnf: tuple[str, ...] = ()
    zypper: tuple[str, ...] = ()
    apk: tuple[str, ...] = ()

    def of(self, manager: str) -> tuple[str, ...]:
        """Return the names under which one package manager knows them."""
        names: tuple[str, ...] = getattr(self, manager)
        return names


@dataclass(frozen=True, kw_only=True)
class Manager:
    """A package manager: how it refreshes its index (if it must be told), and how it installs."""

    name: str
    program: str
    refresh: tuple[str, ...]
    install: tuple[str, ...]
    advice: str


MANAGERS = (
    Manager(
        name="apt",
        program="apt-get",
        refresh=("apt-get", "-o", "Acquire::Retries=3", "update"),
        install=(
            "apt-get",
            "-o",
            "DPkg::Lock::Timeout=120",
            "-o",
            "Acquire::Retries=3",
            "--yes",
            "--no-install-recommends",
            "install",
        ),
        advice="apt-get update && apt-get install --no-install-recommends",
    ),
    Manager(
        name="dnf",
        program="dnf",
        refresh=(),
        install=("dnf", "--assumeyes", "--setopt=install_weak_deps=False", "install"),
        advice="dnf install --setopt=install_weak_deps=False",
    ),
    Manager(
        name="zypper",
        program="zypper",
        refresh=("zypper", "--non-interactive", "refresh"),
        install=("zypper", "--non-interactive", "install", "--no-recommends"),
        advice="zypper install --no-recommends",
    ),
    Manager(
        name="apk",
        program="apk",
        refresh=(),
        install=("apk", "add", "--update-cache"),
        advice="apk add",
    ),
)


def commands(packages: Packages) -> str:
    """Return the line that installs packages with each package manager, ready to be copied."""
    return "\n".join(
        f"{manager.name + ':':<8}{manager.advice} {' '.join(packages.of(manager.name))}"
        for manager in MANAGERS
        if packages.of(manager.name)
    )


def commands_here(packages: Packages) -> str:
    """Return the line for this machine's package manager, or all lines where it has none."""
    manager = machine_manager()
    if manager and packages.of(manager.name):
        return f"{manager.advice} {' '.join(packages.of(manager.name))}"
    return commands(packages)


def merged(several: list[Packages]) -> Packages:
    """Return all names of several, each once, in one fixed order."""
    return Packages(
        **{
            manager.name: tuple(sorted({name for one in several for name in one.of(manager.name)}))
            for manager in MANAGERS
        }
    )


def machine_manager() -> Manager | None:
    """Return this machine's package manager, if it is one we know."""
    return next((manager for manager in MANAGERS if shutil.which(manager.program)), None)


def install(packages: Packages, log: Path, on_line: Line | None = None) -> tuple[str, ...]:
    """Install packages with the machine's package manager; return their names there.

    Raises ToolchainError if we may not, or cannot; CommandFailed if the package manager fails.
    """
    manager = _permitted_manager(packages)
    names = packages.of(manager.name)
    if not names:
        return ()
    environment = install_environment(os.environ)
    for command in (manager.refresh, (*manager.install, *names)):
        if command:
            process.run(command, cwd=Path("/"), log=log, environment=environment, on_line=on_line)
    return names


def _permitted_manager(packages: Packages) -> Manager:
    manager = machine_manager()
    if manager is None:
        raise ToolchainError(
            "--install-deps finds no package manager that it knows",
            expected="apt-get, dnf, zypper or apk on PATH",
            remedy="install by hand what these would:\n" + commands(packages),
        )
    if os.geteuid() != 0:
        raise ToolchainError(
            "--install-deps needs root",
            found=f"running as user {os.geteuid()}",
            remedy=f"as root: {manager.advice} {' '.join(packages.of(manager.name))}",
        )
    return manager


def install_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what a package manager needs in its environment: no questions, proxies, sbin."""
    proxies = {
        name: value for name, value in inherited.items() if name.lower() in _PROXIES and value
    }
    path = f"{inherited.get('PATH', '')}:{_SBIN}".lstrip(":")
    return {**proxies, "DEBIAN_FRONTEND": "noninteractive", "PATH": path}


def os_release() -> dict[str, str]:
    """Return what os-release(5) says of this machine; nothing where there is no such file."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def name_of_distribution() -> str:
    """Return the distribution's name for people, such as "Debian GNU/Linux 12 (bookworm)"."""
    return os_release().get("PRETTY_NAME", "unknown")


@dataclass(frozen=True, kw_only=True)
class Details:
    """What a package says of itself: its source package, that one's version, and its licences.

    `copyright` is the whole text of its file of that name.
    """

    architecture: str = ""
    source: str = ""
    source_version: str = ""
    licences: tuple[str, ...] = ()
    copyright: str = ""


def package_details(name: str) -> Details:
    """Return what the distribution knows of an installed package; rpm and apk tell less."""
    if shutil.which("dpkg-query"):
        shown = "--showformat=${Architecture} ${source:Package} ${source:Version}\\n"
        words = _answer("dpkg-query", "--show", shown, name).partition("\n")[0].split()
        if len(words) == 3:  # noqa: PLR2004  as asked for
            text = _text(Path(f"/usr/share/doc/{name}/copyright"))
            return Details(
                architecture=words[0],
                source=words[1],
                source_version=words[2],
                licences=_licences_in(text),
                copyright=text,
            )
    licence = _answer("rpm", "-q", "--qf", "%{LICENSE}", name)
    return Details(source=name, licences=(licence,) if licence else ())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _licences_in(text: str) -> tuple[str, ...]:
    """Return the licences that a Debian copyright file names, if it is for machines (DEP 5)."""
    try:
        stanzas = list(Copyright(text.splitlines(), strict=False).all_files_paragraphs())
        licences = [one.license for one in stanzas]
    except (ValueError, NotMachineReadableError, MachineReadableFormatError):
        return ()
    return tuple(sorted({str(one.synopsis) for one in licences if one}))  # type: ignore[attr-defined]


@functools.cache
def distribution_package_of(path: Path) -> str | None:
    """Return the package that a file belongs to as "name=version", or None if no one knows."""
    spellings = _spellings(path)
    if package := _dpkg(spellings):
        return package
    found = (ask(spelling) for spelling in spellings for ask in (_rpm, _apk))
    return next((package for package in found if package), None)


def installed_versions(packages: Packages) -> tuple[str, ...]:
    """Return "name=version" for each of the packages that this machine has, in order."""
    manager = machine_manager()
    names = packages.of(manager.name) if manager else ()
    if not (manager and names):
        return ()
    if manager.name == "apt":
        shown = "--showformat=${db:Status-Status} ${Package}=${Version}\\n"
        lines = _answer_whatever("dpkg-query", "--show", shown, *names).splitlines()
        found = [line.split()[1] for line in lines if line.startswith("installed ")]
    elif manager.name == "apk":
        lines = _answer_whatever("apk", "info", "--verbose", *names).splitlines()
        found = [re.sub(r"-(\d\S*-r\d+)$", r"=\1", line) for line in lines if line]
    else:
        lines = _answer_whatever("rpm", "-q", "--qf", "%{NAME}=%{EVR}\\n", *names).splitlines()
        found = [line for line in lines if "=" in line]
    return tuple(sorted(set(found)))


def development_packages() -> tuple[str, ...]:
    """Return "name=version" of each package that programs are compiled against, in order."""
    manager = machine_manager()
    if manager is None:
        return ()
    if manager.name == "apt":
        shown = "--showformat=${db:Status-Status} ${Package}=${Version}\\n"
        lines = _answer_whatever("dpkg-query", "--show", shown, "*-dev").splitlines()
        found = [line.split()[1] for line in lines if line.startswith("installed ")]
    elif manager.name == "apk":
        lines = _answer_whatever("apk", "info", "--verbose").splitlines()
        found = [line for line in lines if "-dev-" in line]
    else:
        found = _answer_whatever("rpm", "-qa", "--qf", "%{NAME}=%{EVR}\\n", "*-devel").splitlines()
    return tuple(sorted(found))


def _spellings(path: Path) -> tuple[Path, ...]:
    """Return the names under which a package may list a file: /usr may be merged, or a link."""
    found = []
    for spelling in (path, path.resolve()):
        found.append(spelling)
        if spelling.is_relative_to("/usr"):
            found.append(Path("/") / spelling.relative_to("/usr"))
        elif spelling.is_absolute():
            found.append(Path("/usr") / spelling.relative_to("/"))
    return tuple(dict.fromkeys(found))


def _dpkg(spellings: tuple[Path, ...]) -> str | None:
    """Ask for all spellings at once: dpkg reads every package's list for each question."""
    names = [str(spelling) for spelling in spellings]
    for line in _answer_whatever("dpkg-query", "--search", *names).splitlines():
        owners, _, listed = line.partition(": ")
        if listed in names and not owners.startswith("diversion by"):
            owner = owners.split(", ")[0]
            shown = "${Package}=${Version}"
            return _answer("dpkg-query", "--show", f"--showformat={shown}", owner).strip() or None
    return None


def _rpm(path: Path) -> str | None:
    return _answer("rpm", "-qf", "--qf", "%{NAME}=%{EVR}\\n", str(path)).partition("\n")[0] or None


def _apk(path: Path) -> str | None:
    owned = _APK_OWNER.search(_answer("apk", "info", "--who-owns", str(path)))
    return f"{owned['name']}={owned['version']}" if owned else None


def _answer_whatever(program: str, *arguments: str) -> str:
    """Return what a query printed, though it fails for a part of what was asked."""
    if not shutil.which(program):
        return ""
    done = subprocess.run(  # noqa: S603  argument lists only, no shell
        [program, *arguments],
        env=process.build_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def _answer(program: str, *arguments: str) -> str:
    """Return what a query printed, or nothing if it failed or there is no such program."""
    if not shutil.which(program):
        return ""
    try:
        return process.output([program, *arguments])
    except ContainError:
        return ""
