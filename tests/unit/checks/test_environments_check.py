"""The environments check, on a small real Python: whole and broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pythons import compile_c, replace_text, script

from contain_python import trials
from contain_python.checks import environments
from contain_python.checks.environments import check
from contain_python.model import CheckResult
from contain_python.rules import Rules
from contain_python.subject import Subject
from contain_python.trial_wheel import COMMAND

BUILDER = Rules(pip_promised=True, headers_promised=True)


def errors(result: CheckResult) -> list[str]:
    """Return what the errors say."""
    return [finding.what for finding in result.findings if finding.level == "error"]


def test_builder(python: Subject) -> None:
    """With pip and headers everything is tried, works, and leaves nothing behind."""
    result = check(python, BUILDER)
    assert errors(result) == []
    assert result.examined == (
        "tried: venv with pip, the base moved away and back, pip install of a local wheel,"
        " a C extension by sysconfig, a C extension by python3-config"
    )
    notes = [finding.what for finding in result.findings]
    assert notes == ["does not follow when its base moves"]
    assert [path.name for path in python.root.parent.iterdir()] == ["python"]


def test_runtime(python: Subject) -> None:
    """Without ensurepip an environment is made --without-pip, and what plain venv says is told."""
    shutil.rmtree(python.root / "include")
    shutil.rmtree(python.stdlib / "ensurepip")
    result = check(python, Rules())
    assert errors(result) == []
    assert result.examined == "tried: venv --without-pip, the base moved away and back"
    said = [finding for finding in result.findings if "without --without-pip" in finding.what]
    assert [finding.remedy for finding in said] == ["pass --without-pip"]


def test_builder_that_lost_its_parts(python: Subject) -> None:
    """A builder without ensurepip, with false headers and no python3-config, fails at each."""
    shutil.rmtree(python.stdlib / "ensurepip")
    header = python.root / "include" / python.stdlib.name / "Python.h"
    replace_text(header, "#error no header\n")
    trials.config_script(python).unlink()
    found = errors(check(python, BUILDER))
    assert len(found) == 3
    assert found[0].startswith("makes no working environment")
    assert found[1].startswith("builds no extension: ")
    assert found[2] == f"builds no extension: there is no {python.executable.name}-config"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("install", "does not install a local wheel: no room (exit status 1)"),
        ("--version", "does not run: no room (exit status 1)"),
    ],
)
def test_pip_that_fails(
    python: Subject, monkeypatch: pytest.MonkeyPatch, options: str, what: str
) -> None:
    """A pip that does not start, and one that does not install, are told apart."""
    pip = f'#!/bin/sh\n[ "$1" != {options} ] || {{ echo no room >&2; exit 1; }}\n'

    def made(_subject: Subject, home: Path, *_: object) -> bool:
        (home / "bin").mkdir(parents=True)
        script(home / "bin" / "pip", pip)
        return True

    shutil.rmtree(python.root / "include")
    monkeypatch.setattr(environments, "_made", made)
    monkeypatch.setattr(environments, "_survives_the_move", lambda *_: None)
    assert errors(check(python, Rules(pip_promised=True))) == [what]


def test_command_that_prints_something_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A wheel whose command does not print what it should was not installed right."""
    monkeypatch.setattr(environments, "ANSWER", "another answer")
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin" / "pip", "#!/bin/sh\n")
    script(tmp_path / "bin" / COMMAND, "#!/bin/sh\necho hello\n")
    log = environments._Log()
    environments._local_wheel(tmp_path, tmp_path, log)
    assert "printed 'hello'" in log.findings[0].what


def test_broken_venv(python: Subject) -> None:
    """A Python that makes no environments fails in either flavour."""
    replace_text(python.stdlib / "venv" / "__init__.py", "raise RuntimeError('no venv')\n")
    shutil.rmtree(python.root / "include")
    (found,) = errors(check(python, Rules()))
    assert "no venv" in found


def test_no_compiler(python: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler the extension is not tried, and a note says so."""
    monkeypatch.setattr(trials, "compiler", lambda: "")
    replace_text(python.stdlib / "venv" / "__init__.py", "raise RuntimeError('no venv')\n")
    notes = [finding for finding in check(python, Rules()).findings if finding.level == "note"]
    assert "there is no C compiler here" in [finding.why for finding in notes]


def test_config_script_that_fails(python: Subject, tmp_path: Path) -> None:
    """A python3-config that fails is named with its option and reason."""
    config = trials.config_script(python)
    config.unlink()
    script(config, "#!/bin/sh\necho no such option >&2\nexit 1\n")
    problem = trials.build_with_config_script(python, tmp_path)
    assert problem == f"{config.name} --cflags: no such option (exit status 1)"


def test_wrong_answer(python: Subject, tmp_path: Path) -> None:
    """A module that imports and answers wrongly is no success."""
    (tmp_path / "contained.py").write_text("def answer(): return 41\n")
    assert "'41'" in trials.import_problem(python.executable, tmp_path)


def test_foreign_environment(python: Subject, tmp_path: Path) -> None:
    """An environment that belongs to another base is found out."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(python.executable)
    assert trials.environment_problem(tmp_path, python.root).startswith("sys.prefix is ")
    assert trials.environment_problem(tmp_path / "none", python.root).startswith("cannot start")


def test_promised_library_that_is_not_there(python: Subject) -> None:
    """A file that tells how to embed Python is followed: what it names must link."""
    place = python.root / "lib" / "pkgconfig" / "python3-embed.pc"
    library = f"libpython{python.series}.so"
    replace_text(
        place,
        "prefix=${pcfiledir}/../..\n"
        f"Libs: -L${{prefix}}/lib -lpython{python.series}\n"
        f"Cflags: -I${{prefix}}/include/{python.stdlib.name}\n",
    )
    result = check(python, BUILDER)
    (problem,) = [finding for finding in result.findings if finding.level == "error"]
    assert problem.where == "lib/pkgconfig/python3-embed.pc"
    assert problem.what.startswith("gives flags by which no program that embeds Python links: ")
    source = "void Py_Initialize(void) {} int Py_FinalizeEx(void) { return 0; }"
    compile_c(python.root / "lib" / library, "-shared", "-fPIC", source=source)
    result = check(python, BUILDER)
    assert errors(result) == []
    assert "embedding by lib/pkgconfig/python3-embed.pc" in result.examined


def test_script_that_tells_how_to_embed(python: Subject) -> None:
    """python3-config --embed is followed too, if it answers."""
    config = trials.config_script(python)
    text = config.read_text().replace('echo "no libpython" >&2; exit 1', "echo -lno-such-python")
    config.unlink()
    script(config, text)
    (problem,) = [one for one in check(python, BUILDER).findings if one.level == "error"]
    assert problem.where == f"bin/{config.name}"
