"""Papers from elsewhere: of the right form, or one clear message; and nothing in them runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from artifacts import an_artifact
from values import write

from contain_python.errors import ContainError, SourceError
from contain_python.papers import read_json, read_manifest
from contain_python.recorded_recipe import recipe_of
from contain_python.releases import release_of

RELEASE = {
    "version": "3.13.15",
    "filename": "Python-3.13.15.tar.xz",
    "size": 1,
    "sha256": "1" * 64,
    "date": "2026-08-05",
    "verified": "unverified",
    "proof": "",
    "superseded": True,
    "superseded_by": "3.13.18",
}

#: Texts that are no JSON of ours, whatever is asked.
NO_JSON = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe{}",
    "cut": b'{"kind": ',
    "a key twice": b'{"kind": "runtime", "kind": "builder"}',
    "no number": b'{"size": NaN}',
    "nested": b"[" * 100_000,
}


@pytest.mark.parametrize("case", NO_JSON)
def test_what_is_no_json(tmp_path: Path, case: str) -> None:
    """Whatever is wrong with a file, one message tells it."""
    path = tmp_path / "x.json"
    path.write_bytes(NO_JSON[case])
    with pytest.raises(SourceError, match="is no bill") as caught:
        read_json(path, "bill", "a bill")
    assert caught.value.found
    assert len(caught.value.found) < 300


def test_what_is_no_file(tmp_path: Path) -> None:
    """A directory is no file, and is not told as a disk that fails."""
    with pytest.raises(ContainError, match="there is no bill") as caught:
        read_json(tmp_path, "bill", "a bill")
    assert caught.value.found == "a directory"


@pytest.mark.parametrize(
    "change",
    [
        {"prefix": "/usr"},
        {"prefix": "/opt/x\nRUN evil"},
        {"release": {"version": "3.13.15\nRUN evil"}},
        {"release": {"version": "3.13.15", "filename": "../../x"}},
        {"tarball": {"name": "../x.tar.zst", "sha256": "1" * 64, "size": 1}},
        {"files": [{"path": "../../etc/passwd", "mode": "644"}]},
        {"files": [{"path": "/etc/passwd", "mode": "644"}]},
        {"files": [{"path": "x", "mode": "rwx"}]},
        {"patches": [{"name": "3.13/../../x.patch", "sha256": "1" * 64}]},
        {"profile": {"name": "../x", "sha256": "1" * 64}},
        {"kind": "run/../time"},
        {"machine": "x86_64; evil"},
    ],
    ids=str,
)
def test_values_that_lead_elsewhere(tmp_path: Path, change: dict[str, Any]) -> None:
    """Names are plain, paths stay below, hashes are hashes: or the manifest is none."""
    path = an_artifact(tmp_path, {"x": b"x"})
    manifest = path if path.suffix == ".json" else next(tmp_path.glob("*.json"))
    read_manifest(manifest)
    data = json.loads(manifest.read_text()) | change
    write(manifest, json.dumps(data))
    with pytest.raises(SourceError, match="is no manifest"):
        read_manifest(manifest)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("compiler", {"cc": "/srv/gcc"}),
        ("compiler", {"cc": "./gcc"}),
        ("compiler", {"cc": "sh"}),
        ("compiler", {"cc": "gcc -wrapper evil"}),
        ("compiler", {"cxx": "../g++"}),
        ("compiler", {"cflags": ["-fplugin=/srv/evil.so"]}),
        ("compiler", {"cflags": ["-fplugin=evil"]}),
        ("compiler", {"cflags": ["-O2 $(evil)"]}),
        ("compiler", {"cflags": ["@file"]}),
        ("compiler", {"cflags": ["-specs=evil"]}),
        ("compiler", {"cflags": ["-B/tmp"]}),
        ("compiler", {"ldflags": ["-fuse-ld=/srv/ld"]}),
        ("compiler", {"ldflags": ["-Wl,-plugin,evil.so"]}),
        ("compiler", {"ldflags": ["-Wl,--plugin=evil"]}),
        ("compiler", {"ldflags": ["-Wl,-z,now,-plugin,evil"]}),
        ("compiler", {"configure": ["CC=/srv/evil"]}),
        ("compiler", {"configure": ["--with-build-python=evil"]}),
        ("compiler", {"configure": ["--prefix=/usr"]}),
        ("compiler", {"configure": ["--with-openssl=/srv/evil"]}),
        ("tuning", {"bolt": "/srv/llvm-bolt"}),
        ("modules", {"builtin": ["math\nevil evil.c"]}),
        ("build", {"prefix": "/usr"}),
    ],
    ids=str,
)
def test_recipe_that_would_run_something(table: str, values: dict[str, Any]) -> None:
    """A manifest names compilers and flags, and nothing that is loaded or run by another name."""
    with pytest.raises(SourceError, match="the manifest's recipe"):
        recipe_of({table: values})


def test_rules_stay_below_the_prefix() -> None:
    """Paths of a manifest's rules cannot leave the prefix that they prune."""
    rule = {"name": "x", "why": "y", "paths": ["../../precious"]}
    for data in ({"prune": [rule]}, {"strip": {"tests": [rule]}}):
        with pytest.raises(SourceError, match="the manifest's recipe is none"):
            recipe_of(data)


def test_honest_recipes_are_taken() -> None:
    """What this tool writes into its own manifests, in all its choices, is believed."""
    recipe = recipe_of(
        {
            "build": {"prefix": "/opt/myorg/python", "optimize": "pgo+lto"},
            "compiler": {
                "cc": "x86_64-linux-gnu.2.17-gcc",
                "cxx": "clang++-19",
                "cflags": ["-O3", "-march=x86-64-v3", "-fno-plt", "-DNDEBUG", "-Wno-error=x"],
                "ldflags": [
                    *("-Wl,-z,pack-relative-relocs", "-Wl,-z,noseparate-code"),
                    *("-fuse-ld=lld", "-Wl,--as-needed", "-Wl,-O1,--sort-common"),
                ],
                "configure": ["--without-doc-strings", "--with-lto=thin", "ac_cv_func_x=no"],
            },
            "tuning": {"bolt": "llvm-bolt-19"},
            "modules": {"builtin": ["_asyncio"], "disabled": ["nis"]},
        }
    )
    assert recipe.compiler.cc == "x86_64-linux-gnu.2.17-gcc"


@pytest.mark.parametrize(
    "change",
    [
        {"filename": "../../Python-3.13.15.tar.xz"},
        {"version": "3.13"},
        {"sha256": "x"},
        {"superseded_by": "newer; evil"},
        {"nonsense": 1},
    ],
    ids=str,
)
def test_release_of_a_manifest(change: dict[str, Any]) -> None:
    """A release is checked as the lock's are."""
    assert release_of(RELEASE, "release").superseded_by == "3.13.18"
    with pytest.raises(SourceError, match="the manifest's"):
        release_of(RELEASE | change, "release")
