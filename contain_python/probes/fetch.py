"""Run this Python's pip so that it builds nothing: source archives tell about themselves by files.

pip asks the build system of each source archive for its metadata, and so runs what its maker wrote,
only to fetch it. Here `[project]` of its pyproject.toml tells, or its PKG-INFO, or its file's name.
Should a pip still want to start a build system, it is refused.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile
import tomllib
from typing import Any

#: What a name and a version are made of, which become the name of a directory.
_PLAIN = re.compile(r"[\w.+!-]+", re.ASCII)

_PLACE = tempfile.TemporaryDirectory(prefix="contain-metadata-")


def _module(name: str) -> Any:  # noqa: ANN401  pip's own modules have no types
    return importlib.import_module(f"pip.{name}")


def _refuse_python(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse to start another Python, which is how pip runs build systems (an audit hook)."""
    if event == "subprocess.Popen" and sys.executable in (arguments[0], *arguments[1][:1]):
        raise RuntimeError("fetching must run no build system")


def _text(*parts: str) -> str:
    try:
        with open(os.path.join(*parts), encoding="utf-8", errors="replace") as stream:  # noqa: PTH118, PTH123
            return stream.read()
    except OSError:
        return ""


def _project(source: str) -> dict[str, Any]:
    """Return the `[project]` table of a source, or nothing."""
    text = _text(source, "pyproject.toml")
    try:
        found = tomllib.loads(text).get("project", {})
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _requires(project: dict[str, Any], told: str) -> list[str]:
    """Return the lines of metadata that tell what a source requires."""
    headers = told.partition("\n\n")[0].splitlines()
    lines = [line for line in headers if line.startswith(("Requires-Dist:", "Provides-Extra:"))]
    dynamic = project.get("dynamic", [])
    if not project or "dependencies" in dynamic or "optional-dependencies" in dynamic:
        return lines
    lines = [f"Requires-Dist: {one}" for one in project.get("dependencies", [])]
    for extra, those in project.get("optional-dependencies", {}).items():
        lines.append(f"Provides-Extra: {extra}")
        for one in those:
            name, _, marker = one.partition(";")
            both = f"({marker.strip()}) and " if marker else ""
            lines.append(f'Requires-Dist: {name.strip()} ; {both}extra == "{extra}"')
    return lines


def _field(told: str, name: str) -> str:
    found = re.search(rf"^{name}: *(\S+) *$", told.partition("\n\n")[0], re.MULTILINE)
    return found[1] if found else ""


def _metadata(req: Any) -> str:  # noqa: ANN401  pip's InstallRequirement
    """Write the metadata of an unpacked source archive; return their directory."""
    source = req.unpacked_source_directory
    told, project = _text(source, "PKG-INFO"), _project(source)
    stem = re.sub(r"\.(tar\.\w+|tgz|zip)$", "", req.link.filename)
    name = _field(told, "Name") or project.get("name") or stem.rpartition("-")[0]
    version = _field(told, "Version") or project.get("version") or stem.rpartition("-")[2]
    python = project.get("requires-python") or _field(told, "Requires-Python")
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {python}"] if python else []
    if not (_PLAIN.fullmatch(str(name)) and _PLAIN.fullmatch(str(version))):
        raise RuntimeError(f"{req.link.filename} has no name and version")
    # Not in the source, where a link might lead elsewhere.
    folder = os.path.join(_PLACE.name, f"{name}-{version}.dist-info")  # noqa: PTH118
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    with open(os.path.join(folder, "METADATA"), "w", encoding="utf-8") as stream:  # noqa: PTH118, PTH123
        stream.write("\n".join([*lines, *_requires(project, told), "", ""]))
    if req.req is None:
        kind = _module("_vendor.packaging.requirements").Requirement
        req.req = kind(f"{name}==={version}")
    return folder


def _prepare(self: Any, *_: object, **__: object) -> None:  # noqa: ANN401
    """Prepare nothing, where pip would run the build system."""


def _told(self: Any) -> Any:  # noqa: ANN401
    return _module("_internal.metadata").get_directory_distribution(_metadata(self.req))


def main() -> int:
    """Run pip with the words of the command line."""
    sys.addaudithook(_refuse_python)
    source = _module("_internal.distributions.sdist").SourceDistribution
    source.prepare_distribution_metadata = _prepare
    source.get_metadata_distribution = _told
    status: int = _module("_internal.cli.main").main(sys.argv[1:])
    return status


if __name__ == "__main__":
    sys.exit(main())
