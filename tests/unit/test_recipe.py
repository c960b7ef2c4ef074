"""The recipe: defaults, what is refused, and the file that ships."""

from __future__ import annotations

import re
from dataclasses import is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from values import write

from contain_python.errors import ContainError, RecipeError, UsageError
from contain_python.recipe import (
    Recipe,
    Rule,
    check_prefix,
    find_recipe,
    overridden,
    parse_recipe,
    read_recipe,
)

SHIPPED = Path(__file__).parents[2] / "contain.toml"


def refused(data: dict[str, object]) -> ContainError:
    """Return the error that recipe data gives."""
    with pytest.raises(ContainError) as caught:
        parse_recipe(data, Path("/somewhere/contain.toml"))
    return caught.value


def keys_of(kind: type) -> dict[str, set[str]]:
    """Return every table of the recipe with its keys, from the dataclasses themselves."""
    found: dict[str, set[str]] = {kind.__name__: set()}
    for name, hint in get_type_hints(kind).items():
        inner = [item for item in (hint, *get_args(hint)) if is_dataclass(item)]
        found[kind.__name__].add(name)
        for item in inner:
            assert isinstance(item, type)
            found |= keys_of(item)
    return found


def test_shipped_recipe_is_valid() -> None:
    """The recipe in the repository parses, and knows where its patches and lock file are."""
    recipe = read_recipe(SHIPPED)
    assert recipe.root == SHIPPED.parent
    assert recipe.build.prefix == "/opt/myorg/python"
    assert recipe.build.optimize == "pgo+lto"
    assert recipe.strip.tests
    assert {flavour for rule in recipe.prune for flavour in rule.flavours} == {"runtime", "builder"}


def test_every_key_is_shown_in_the_shipped_recipe() -> None:
    """A reader of contain.toml meets every key, one in a comment at least; `root` is not one."""
    text = SHIPPED.read_text(encoding="utf-8")
    tables = keys_of(Recipe)
    top = tables.pop("Recipe") - {"root"}
    for table in top:
        assert re.search(rf"^(# )?\[+{table}\b", text, re.MULTILINE), table
    for kind, names in tables.items():
        for name in names:
            shown = re.search(rf"^(# )?(\[+\w+\.)?{name}\b", text, re.MULTILINE)
            assert shown, f"{kind}.{name}"


def test_defaults_equal_the_shipped_choices() -> None:
    """An empty recipe builds what the shipped one builds, but for the lists only it can know."""
    empty = parse_recipe({}, SHIPPED)
    shipped = read_recipe(SHIPPED)
    for table in ("build", "download", "pack"):
        assert getattr(empty, table) == getattr(shipped, table)


def test_shipped_rules_have_unique_names_and_reasons() -> None:
    """`explain` and the ledger tell rules apart by name, so no two share one."""
    recipe = read_recipe(SHIPPED)
    rules = (*recipe.strip.tests, *recipe.prune)
    assert len({rule.name for rule in rules}) == len(rules)
    assert all(rule.why and rule.paths for rule in rules)
    assert all(allowance.why for allowance in recipe.verify.prefix_allowed)


def test_mistyped_keys_get_a_suggestion() -> None:
    """A key with a typing mistake is refused and the right one named, at every depth."""
    assert "did you mean 'build'?" in str(refused({"buidl": {}}))
    problem = refused({"build": {"prefx": "/opt/x"}})
    assert problem.what == "unknown key 'prefx' in contain.toml.build"
    assert "did you mean 'prefix'?" in str(problem)
    assert problem.exit_code == 2
    assert "'pgo+lto'" in str(refused({"build": {"optimize": "pgo-lto"}}))
    assert refused({"root": "/"}).what == "unknown key 'root' in contain.toml"


@pytest.mark.parametrize(
    "prefix",
    ["/opt/myorg/python", "/usr/local", "/opt/a_b/c+d-e.f", "/opt/..x", "/opt/x.."],
)
def test_plain_prefixes_pass(prefix: str) -> None:
    """What configure and make carry unchanged is accepted."""
    check_prefix(prefix)


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "/",
        "opt/python",
        "/opt/my python",
        "/opt/$HOME",
        "/opt/a#b",
        "/opt/a'b",
        '/opt/a"b',
        "/opt/a:b",
        "/opt/a\\b",
        "/opt/a\n",
        "/opt//python",
        "/opt/python/",
        "/opt/../etc",
        "/opt/./x",
        "/opt/pythön",
    ],
)
def test_prefixes_that_cannot_be_quoted_are_refused(prefix: str) -> None:
    """Spaces, shell and make characters, dots and non-ASCII are refused, with the way out."""
    with pytest.raises(UsageError, match="the prefix cannot be") as caught:
        check_prefix(prefix)
    assert "moved anywhere" in caught.value.remedy
    with pytest.raises(UsageError):
        parse_recipe({"build": {"prefix": prefix}}, Path("contain.toml"))


@pytest.mark.parametrize("path", ["/etc", "../x", "lib/../../x", ""])
def test_rules_stay_below_the_prefix(path: str) -> None:
    """A rule cannot name anything outside the tree that it prunes."""
    rule = {"name": "r", "why": "w", "paths": ["lib", path]}
    assert "does not stay below the prefix" in refused({"prune": [rule]}).what
    assert "does not stay below the prefix" in refused({"strip": {"tests": [rule]}}).what


def test_rules_are_for_versions() -> None:
    """A rule applies to the versions of its specifier, pre-releases included."""
    rule = Rule(name="r", why="w", paths=("x",), series="<3.13")
    assert rule.applies("3.12.9")
    assert not rule.applies("3.13.0")
    assert Rule(name="r", why="w", paths=("x",), series=">=3.13").applies("3.15.0rc2")
    assert Rule(name="r", why="w", paths=("x",)).applies("3.15.0rc2")
    bad = {"name": "r", "why": "w", "paths": ["x"], "series": "3.13 or so"}
    assert (
        refused({"prune": [bad]}).what == "rule 'r': series '3.13 or so' is not a version specifier"
    )


def test_unreadable_recipes(tmp_path: Path) -> None:
    """A missing file, one that is no TOML and one that is no text are told apart."""
    with pytest.raises(RecipeError, match="there is no file") as caught:
        read_recipe(tmp_path / "absent.toml")
    assert "--recipe" in caught.value.remedy
    with pytest.raises(RecipeError, match="is not valid TOML") as caught:
        read_recipe(write(tmp_path / "bad.toml", "[build\n"))
    assert "line 1" in caught.value.found
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="cannot read"):
        read_recipe(tmp_path / "binary.toml")
    with pytest.raises(RecipeError, match="cannot read"):
        read_recipe(tmp_path)


def test_rules_are_frozen() -> None:
    """What was validated cannot change under a stage's hands."""
    with pytest.raises(AttributeError):
        Recipe().build = Recipe().build  # type: ignore[misc]


def test_recipe_that_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was named, the one here with its lock, or else the one beside this tool.

    An application's contain.toml, in the directory that holds its requirements, is not asked.
    """
    monkeypatch.chdir(tmp_path)
    assert find_recipe("x.toml") == Path("x.toml")
    assert find_recipe("") == Path(__file__).parents[2] / "contain.toml"
    (tmp_path / "contain.toml").write_text("")
    assert find_recipe("") == Path(__file__).parents[2] / "contain.toml"
    (tmp_path / "releases.lock").write_text("")
    assert find_recipe("") == Path("contain.toml")


def test_any_key_can_be_set() -> None:
    """--set takes TOML, or a plain word as a string; a value may have spaces."""
    recipe = overridden(
        Recipe(root=Path("/r")),
        "tuning.cpu=x86-64-v3 compiler.cflags=['-O2', '-g'] compiler.ccache=true tuning.bolt=''",
    )
    assert recipe.tuning.cpu == "x86-64-v3"
    assert recipe.compiler.cflags == ("-O2", "-g")
    assert recipe.compiler.ccache is True
    assert recipe.tuning.bolt == ""
    assert recipe.root == Path("/r")
    assert overridden(recipe, " ") == recipe
    nested = overridden(recipe, "tuning.cpu=x86-64-v2 budget.runtime.packed=5 updates.feeds.psf=1")
    assert (nested.tuning.cpu, nested.budget.runtime.packed) == ("x86-64-v2", 5)
    assert nested.updates.feeds.psf == "1"
    assert nested.budget.runtime.unpacked == recipe.budget.runtime.unpacked
    assert overridden(recipe, "build.python=3.14 verify.glibc=2.31").verify.glibc == "2.31"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("tuning.cpu", "--set cannot be 'tuning.cpu'"),
        ("cpu=x86-64-v3", "--set cannot be 'cpu=x86-64-v3'"),
        ("root.x=1", "--set cannot be 'root.x=1'"),
        ("prune.x=1", "--set cannot be 'prune.x=1'"),
        ("prune.x.y=1", "--set cannot be 'prune.x.y=1'"),
        ("prune=[]", "--set cannot be 'prune=[]'"),
        ("tuning.cpu.x=1", "--set cannot be 'tuning.cpu.x=1'"),
        ("budget.runtime.paked=1", "unknown key 'paked'"),
        ("nothing.at.all=1", "unknown key 'nothing'"),
        ("tuning.cpuu=x", "unknown key 'cpuu'"),
        ("tuning.cpu=x86-64-v9", "cannot be 'x86-64-v9'"),
        ("compiler.ccache=perhaps", "has the wrong type"),
        ("nothing.here=1", "unknown key 'nothing'"),
    ],
)
def test_what_cannot_be_set_is_refused(words: str, told: str) -> None:
    """A word of another form, an unknown key and a wrong value are refused, with what to do."""
    with pytest.raises(ContainError) as caught:
        overridden(Recipe(root=Path("/r")), words)
    assert told in caught.value.what
    assert caught.value.remedy or caught.value.expected


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ({"runtime": {"packed": -1}}, "a size in [budget.runtime] is below 0"),
        ({"builder": {"unpacked": -1}}, "a size in [budget.builder] is below 0"),
        ({"start_up": {"ratio": 0.0}}, "ratio in [budget.start_up] cannot be 0.0"),
        ({"start_up": {"ratio": float("nan")}}, "ratio in [budget.start_up] cannot be nan"),
    ],
)
def test_budget_that_nothing_or_everything_exceeds(budget: dict[str, object], told: str) -> None:
    """A limit below 0 would fail every build, and a ratio that is no number none."""
    assert told in str(refused({"budget": budget}))


@pytest.mark.parametrize(
    ("name", "choices", "told"),
    [
        ("Ruamel.YAML", {}, "wheels.build.ruamel-yaml"),
        ("a", {"env": {"PATH": "/x"}}, "'PATH' cannot be set"),
        ("a", {"env": {"LD_PRELOAD": "/x"}}, "'LD_PRELOAD' cannot be set"),
        ("a", {"env": {"PIP_INDEX_URL": "x"}}, "'PIP_INDEX_URL' cannot be set"),
        ("a", {"env": {"A B": "x"}}, "'A B' cannot be set"),
        ("a", {"env": {"CFLAGS": 3}}, "a string"),
        ("a", {"config_settings": {"x": []}}, "has no value"),
        ("a", {"flags": {}}, "unknown key 'flags'"),
    ],
)
def test_choices_for_a_build_that_cannot_be(
    name: str, choices: dict[str, object], told: str
) -> None:
    """Names are normalised; where and as whom a build runs is not to choose."""
    assert told in str(refused({"wheels": {"build": {name: choices}}}))
