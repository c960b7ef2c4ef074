"""What images are asked to build: refused here and now, not inside an engine after compiling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from contain_python.bundled import plan
from contain_python.commands import Options, completed
from contain_python.errors import UsageError
from contain_python.model import Release
from contain_python.preflight import job_count
from contain_python.recipe import Recipe, read_recipe
from contain_python.structure import one_of
from contain_python.tuning import refuse_too_old

#: What Dockerfile.builder passes itself; an option that is given twice is refused.
_PASSED = ("--python", "--prefix", "--snapshot", "--base-image", "--workspace", "--dist")


def refuse_options(text: str, recipe: Recipe, releases: Iterable[Release]) -> None:
    """Raise UsageError for options that build-python would refuse once it runs in the image."""
    options = Options(dry_run=True, **_parsed(text))
    # Paths are the image's, in which the recipe's directory is the current one.
    chosen = completed(read_recipe(recipe.root / options.recipe), options)
    job_count(options.jobs)
    for release in releases:
        plan.refuse_impossible(chosen, release)
        refuse_too_old(chosen, release)


def _parsed(text: str) -> dict[str, Any]:
    """Return the options in a text, whose words a shell takes apart at spaces alone."""
    defaults = {f"--{item.name.replace('_', '-')}": item.default for item in fields(Options)}
    switches = {
        "--verbose",
        "--json",
        *(name for name, value in defaults.items() if value is False),
    }
    given: dict[str, Any] = {}
    words = iter(text.split())
    for word in words:
        name, equals, value = word.partition("=")
        one_of("--options", name, [*defaults, "--verbose", "--json"])
        if name in _PASSED or name in given:
            raise _refused(name, "once each, and none that the image's own build passes")
        if name in switches:
            if equals:
                raise _refused(word, f"{name} alone: it takes no value")
            given[name] = True
        else:
            given[name] = value if equals else next(words, "")
            if not given[name] or given[name].startswith("--"):
                raise _refused(name, f"a value for it, as {name}=VALUE")
    return {
        name.removeprefix("--").replace("-", "_"): value
        for name, value in given.items()
        if name in defaults and name != "--dry-run"
    }


def _refused(word: str, expected: str) -> UsageError:
    return UsageError(
        f"--options cannot have {word!r}",
        expected=f"options of build-python, {expected}",
        remedy="invoke build-python --help lists them; image has --python, --prefix and --snapshot"
        " itself",
    )
