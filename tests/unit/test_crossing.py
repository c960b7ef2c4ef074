"""The Python that helps to build for a system which does not run here."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from values import a_release, a_source

from contain_python import crossing
from contain_python.model import ConfiguredTree
from contain_python.recipe import Build, Compiler, Recipe, Tuning

FOREIGN = "x86_64" if platform.machine() == "aarch64" else "aarch64"
RECIPE = Recipe(
    build=Build(
        prefix="/opt/python",
        optimize="lto",
        linkage="bundled",
        target=f"{FOREIGN}-linux-gnu.2.17",
    ),
    compiler=Compiler(cc="zig cc"),
    tuning=Tuning(lto="thin"),
)


def test_what_runs_here_needs_no_help(tmp_path: Path) -> None:
    """Without a target nothing helps, and configure is told nothing."""
    assert crossing.helper(Recipe(), a_release(), tmp_path) is None
    assert crossing.configure_words(Recipe(), a_release(), tmp_path) == ()


def test_recipe_of_the_helper() -> None:
    """It is for this machine, soon built, and tuned in nothing."""
    found = crossing.recipe_of_helper(RECIPE, a_release())
    assert (found.build.target, found.build.linkage, found.build.optimize) == ("", "system", "none")
    assert found.build.prefix == "/opt/python"
    assert found.compiler == Compiler()
    assert found.tuning == Tuning()


@pytest.mark.parametrize(("threading", "name"), [("gil", "python3.14"), ("free", "python3.14t")])
def test_helper_has_the_library_of_what_it_helps_to_build(
    tmp_path: Path, threading: str, name: str
) -> None:
    """By its own name it looks for the standard library, which is another one without a GIL."""
    recipe = replace(RECIPE, tuning=Tuning(threading="free" if threading == "free" else "gil"))
    release = a_release("3.14.7")
    python = crossing.helper(recipe, release, tmp_path)
    assert python == tmp_path / "build-python/install/opt/python/bin" / name
    assert f"--with-build-python={python}" in crossing.configure_words(recipe, release, tmp_path)
    tree = ConfiguredTree(
        source=a_source(tmp_path, "3.14.7"),
        machine=f"{FOREIGN}-linux-gnu",
        command=("--disable-gil",) if threading == "free" else (),
        compiler="zig",
        extensions=(),
    )
    assert tree.python == name
    assert crossing.recipe_of_helper(recipe, release).tuning.threading == threading
    environment = crossing.environment(tree, python, tmp_path / "root")
    assert environment["PYTHONPATH"].endswith(f"install/opt/python/lib/{name}/lib-dynload")


#: What configure would try by itself: each program ends with 0 where the answer is as ours is.
TRIALS = {
    "ac_cv_aligned_required": """
        int main(void) { char text[8] = "1234567"; int word; __builtin_memcpy(&word, text + 1, 4);
        return *(volatile int *)(void *)(text + 1) != word; }""",
    "ac_cv_broken_sem_getvalue": """
        #include <semaphore.h>
        int main(void) { sem_t one; int value = 0; sem_init(&one, 0, 1);
        return sem_getvalue(&one, &value) || value != 1; }""",
    "ac_cv_computed_gotos": """
        int main(int count, char **words) { static void *places[] = {&&no, &&yes}; (void)words;
        goto *places[count]; no: return 1; yes: return 0; }""",
    "ac_cv_pthread_system_supported": """
        #include <pthread.h>
        int main(void) { pthread_attr_t how; return pthread_attr_init(&how)
        || pthread_attr_setscope(&how, PTHREAD_SCOPE_SYSTEM); }""",
    "ac_cv_working_tzset": """
        #include <stdlib.h>
        #include <time.h>
        int main(void) { putenv("TZ=AAA-5"); tzset(); return timezone != -18000; }""",
}


@pytest.mark.parametrize("name", TRIALS)
def test_answers_are_right(tmp_path: Path, name: str) -> None:
    """What cannot be tried for another processor is so on this one, as on every Linux."""
    assert crossing.ANSWERS[name] == ("no" if "broken" in name or "required" in name else "yes")
    source = tmp_path / "trial.c"
    source.write_text(f"#define _GNU_SOURCE{TRIALS[name]}\n")
    subprocess.run(["gcc", source, "-o", tmp_path / "trial", "-pthread"], check=True)
    assert subprocess.run([tmp_path / "trial"], check=False).returncode == 0
