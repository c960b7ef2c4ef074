"""Train: a real instrumented build and its run leave a profile, and the tree as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from values import a_prefix, a_source, a_workspace, write

from contain_python.errors import CompileError, SourceError
from contain_python.making import was_begun
from contain_python.model import ConfiguredTree, Profile, ProfileKey, Progress
from contain_python.profiles import lay, store_of
from contain_python.recipe import Recipe
from contain_python.stages.train import train

KEY = ProfileKey(
    version="3.13.15",
    source="0" * 64,
    patches=(),
    compiler="gcc 12",
    machine="x86_64-linux-gnu",
    flags=(),
)

#: In upstream's order, with a real gcc; the second program is never run.
MAKEFILE = """\
PGO_PROF_GEN_FLAG=-fprofile-generate -DCONFIGURED
profile-run-stamp: python.c
\tgcc $(PGO_PROF_GEN_FLAG) -c -o python.o python.c
\tgcc $(PGO_PROF_GEN_FLAG) -o python python.o
\t@echo '0:00:01 load avg: 1.04 [ 1/2] test_array'
\t./python
\trm -f python python.o
\ttouch $@
"""

SOURCE = """\
#ifndef CONFIGURED
#error not the flags that configure chose
#endif
int main(void) { return 0; }
"""


def a_tree(root: Path, makefile: str = MAKEFILE) -> ConfiguredTree:
    write(root / "Makefile", makefile)
    write(root / "python.c", SOURCE)
    return replace(a_prefix(root).built.configured, source=a_source(root))


def run_train(tmp_path: Path, tree: ConfiguredTree) -> tuple[Profile, list[str], list[str]]:
    """Train, and return the profile, what was told of the progress, and the lines."""
    seen, lines = list[Progress](), list[str]()
    profile = train(
        Recipe(),
        a_workspace(tmp_path),
        tree,
        KEY,
        store_of(tmp_path / "profiles"),
        jobs=1,
        progress=seen.append,
        on_line=lines.append,
    )
    return profile, [progress.doing for progress in seen], lines


def test_training_leaves_a_profile(tmp_path: Path) -> None:
    """The counters of a real run stand in the profile, and can be laid into another tree."""
    profile, told, lines = run_train(tmp_path, a_tree(tmp_path / "source"))
    assert profile.key == KEY
    lay(profile, tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["python.gcda"]
    assert told[-1] == "training (2 of 2): 50% of the tests run"
    assert "./python" in lines
    assert "./python" in a_workspace(tmp_path).log("train").read_text()


def test_training_leaves_the_tree_as_it_was(tmp_path: Path) -> None:
    """No counter, no stamp and no mark is left: the profile is laid there like any other."""
    tree = a_tree(tmp_path / "source")
    before = sorted(path.name for path in tree.source.root.iterdir())
    run_train(tmp_path, tree)
    after = {path.name for path in tree.source.root.iterdir()} - {".contain-python.mk"}
    assert sorted(name for name in after if not name.endswith(".gcno")) == before
    assert not was_begun(tree.source.root)


def test_instrumented_pass_is_without_lto(tmp_path: Path) -> None:
    """Code is instrumented before LTO sees it, so this pass does without."""
    _, _, lines = run_train(tmp_path, a_tree(tmp_path / "source"))
    compiled = [line for line in lines if line.startswith("gcc")]
    assert compiled
    assert all("-fprofile-generate -DCONFIGURED -fno-lto" in line for line in compiled)


def test_failed_training(tmp_path: Path) -> None:
    """A training that fails is told with its log, gives no profile, and marks the tree."""
    tree = a_tree(tmp_path / "source", MAKEFILE.replace("\t./python\n", "\t./python; exit 1\n"))
    with pytest.raises(CompileError) as caught:
        run_train(tmp_path, tree)
    assert str(a_workspace(tmp_path).log("train")) in caught.value.remedy
    assert was_begun(tree.source.root)
    assert not (tmp_path / "profiles").exists()


def test_training_that_counts_nothing(tmp_path: Path) -> None:
    """A training that ends well but ran nothing is an error, and no empty profile."""
    tree = a_tree(tmp_path / "source", MAKEFILE.replace("\t./python\n", ""))
    with pytest.raises(SourceError, match="training left no profile"):
        run_train(tmp_path, tree)
    assert was_begun(tree.source.root)
