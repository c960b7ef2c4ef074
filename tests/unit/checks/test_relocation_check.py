"""The relocation check, on a small real Python: whole, and with everything that can be stale."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from pythons import CONFIGURED, replace_text, script

from contain_python import moved_files
from contain_python.checks import relocation
from contain_python.checks.relocation import DIFFICULT, check
from contain_python.model import CheckResult
from contain_python.rules import Rules
from contain_python.stale import Stale
from contain_python.subject import Subject

BUILDER = Rules(headers_promised=True)

#: How the distribution's own interpreter, which has not our patch, loses its way once moved.
LOST = {
    "does not find itself when it is started as 'no-such-program'",
    "does not find itself when it is started as 'test'",
    "does not find itself when it is started as another Python of the same version",
    "does not find itself by a relative directory of PATH",
    "makes no working environment when started through a link, --symlinks",
    "makes no working environment when started through a link, --copies",
}


def told(result: CheckResult, level: str) -> list[tuple[str, str]]:
    """Return where and what of the findings of one level."""
    found = [finding for finding in result.findings if finding.level == level]
    return [(finding.where, finding.what) for finding in found]


def modes(root: Path) -> dict[str, int]:
    """Return the mode of everything below a directory."""
    paths = [path for path in (root, *root.rglob("*")) if not path.is_symlink()]
    return {str(path): stat.S_IMODE(path.stat().st_mode) for path in paths}


def test_whole_python(python: Subject) -> None:
    """A relocatable Python passes at both places, extension included, and comes back unchanged."""
    beside = 'exec "$(dirname "$(readlink -f "$0")")"/env'
    script(python.root / "bin" / "hello", f"#!/bin/sh\n{beside}\n")
    script(python.root / "bin" / "env", "#!/bin/sh\necho hello\n")
    details = {
        "base_prefix": "../..",
        "base_interpreter": f"bin/{python.executable.name}",
        "language": {"version": python.series},
        "c_api": {"headers": f"include/{python.stdlib.name}"},
    }
    replace_text(python.stdlib / "build-details.json", json.dumps(details))
    before = modes(python.root)
    result = check(python, BUILDER)
    # An interpreter without our patch is lost in each of these ways: seen, and nothing else.
    assert {what.split(": ")[0] for _, what in told(result, "error")} == LOST
    assert DIFFICULT in result.examined
    assert modes(python.root) == before
    assert sorted(path.name for path in python.root.parent.iterdir()) == ["python"]
    notes = [what for _, what in told(result, "note")]
    assert "no extension was built with it" not in notes
    assert "cannot tell --includes where the path has spaces" in notes
    assert ("was run by the same user, not by another" in notes) == (os.geteuid() != 0)


@pytest.fixture
def stale(python: Subject) -> CheckResult:
    """Return the verdict on a Python in which everything has kept an old place."""
    old, root, binaries = str(python.root), python.root, python.root / "bin"
    (data,) = python.stdlib.glob("_sysconfigdata*.py")
    variables = {"BINDIR": f"{CONFIGURED}/bin", "LIBDIR": f"{old}/lib", "CC": "/opt/zig/cc"}
    replace_text(data, data.read_text() + f"build_time_vars.update({variables!r})\n")
    config = binaries / f"{python.executable.name}-config"
    config.unlink()
    script(config, f'#!/bin/sh\ncase $1 in --libs) exit 9;; esac\necho "-I{old}/include"\n')
    script(binaries / "pip3", f"#!{CONFIGURED}/bin/python3\n")
    script(binaries / "env3", "#!/usr/bin/env python3\n")
    script(binaries / "broken", "#!/bin/sh\nnothing-like-that\n")
    script(binaries / "here", '#!/bin/sh\n[ -e "$(dirname "$0")/python3" ]\n')
    package = root / "lib" / "pkgconfig"
    (package / "a.pc").write_text(f"prefix={CONFIGURED}\nlibdir=${{prefix}}/lib\n")
    (package / "b.pc").write_text("prefix=/elsewhere\n")
    details = {
        "base_prefix": "../..",
        "base_interpreter": f"{CONFIGURED}/bin/python3",
        "c_api": {"headers": "include/python0"},
    }
    replace_text(python.stdlib / "build-details.json", json.dumps(details))
    replace_text(python.stdlib / "email" / "__init__.py", "raise ImportError('lost')\n")
    return check(python, BUILDER)


def test_everything_stale(stale: CheckResult, python: Subject) -> None:
    """Each place that is remembered where it should be derived is named with its file."""
    found = told(stale, "error")
    prefix = f"still names the configured prefix {CONFIGURED}"
    config = f"bin/{python.executable.name}-config"
    for expected in (
        ("sysconfig.get_config_vars()", f"{prefix}: BINDIR"),
        ("sysconfig.get_config_vars()", "still names the place before: LIBDIR"),
        (
            "sysconfig.get_config_vars()",
            "name tools of the build machine by absolute path: CC",
        ),
        (config, "--includes names the place before"),
        (config, "--includes through a link names the place before"),
        (config, "--libs fails: exit status 9"),
        (config, "--prefix is not the prefix it lies in"),
        ("bin/pip3", f"is started by an interpreter in the configured prefix {CONFIGURED}"),
        ("lib/pkgconfig/a.pc", f"{prefix}: libdir, prefix"),
        ("lib/pkgconfig/b.pc", "its prefix is /elsewhere"),
        (f"lib/{python.stdlib.name}/build-details.json", f"{prefix}: base_interpreter"),
        (
            f"lib/{python.stdlib.name}/build-details.json",
            "c_api.headers leads to nothing in the prefix",
        ),
    ):
        assert expected in found
    scripts = {where: what for where, what in found if where.startswith("bin/")}
    assert "nothing-like-that" in scripts["bin/broken"]
    assert scripts["bin/here"].startswith("does not run through a link")
    assert ("email", "does not import once moved to moved/elsewhere: ImportError: lost") in found
    assert ("bin/env3", "is started by whichever Python comes first on PATH") in told(stale, "note")
    assert all(finding.why and finding.remedy for finding in stale.findings)
    assert len({(finding.where, finding.what) for finding in stale.findings}) == len(stale.findings)


def test_interpreter_that_does_not_start(bare: Subject) -> None:
    """A Python that runs nowhere gives findings, and comes back to its place."""
    result = check(replace(bare, configured_prefix=""), BUILDER)
    found = [what for _, what in told(result, "error")]
    assert any(what.startswith("does not run once moved") for what in found)
    assert "there is no Python.h" in found
    assert any("(unknown)" in what for _, what in told(result, "note"))
    assert bare.executable.exists()


def test_comes_back_after_an_interrupt(bare: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt in the middle leaves the prefix where and as it was."""
    before = modes(bare.root)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(relocation, "_interpreter", interrupt)
    with pytest.raises(KeyboardInterrupt):
        check(bare, BUILDER)
    assert modes(bare.root) == before
    assert [path.name for path in bare.root.parent.iterdir()] == ["bare"]


def test_unreadable_build_details(bare: Subject) -> None:
    """A build-details.json that is no such thing is told."""
    (bare.stdlib / "build-details.json").write_text("[]")
    stale = Stale(old=Path("/old"), configured="")
    (finding,) = moved_files.build_details(bare, stale)
    assert finding.what.startswith("cannot be read: TypeError")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("-L/old/place/lib", "/old/place"),
        ("/old/place", "/old/place"),
        ("/old/places", ""),
        ("/old/place-2/lib", ""),
        ("/opt/built/python/bin", "/opt/built/python"),
        ("/old/place/new/lib", ""),
    ],
)
def test_stale_paths(text: str, path: str) -> None:
    """A stale path is seen within other words, but not as part of a longer name."""
    stale = Stale(old=Path("/old/place"), configured=CONFIGURED)
    assert stale.named_in(text, Path("/old/place/new")) == path
