"""Progress of make: the passes of a build, recognised in what make really prints."""

from __future__ import annotations

import pytest

from contain_python.make_progress import Passes
from contain_python.model import Progress

GCC = "gcc -c -fno-strict-overflow -Wsign-compare -DNDEBUG -O3 -Wall -o Objects/{0}.o Objects/{0}.c"

#: What make of CPython 3.13.15 prints with --enable-optimizations, shortened.
BEFORE = """\
Running code to generate profile data (this can take a while):
# First, we need to create a clean build with profile generation
make[1]: Entering directory '/build'
find . -name '*.[oa]' -exec rm -f {} ';'
touch profile-clean-stamp
Building with support for profile generation:
make build_all CFLAGS_NODIST=" -fprofile-generate" LDFLAGS_NODIST=" -fprofile-generate"
"""
TRAINING = """\
gcc -pie -o python Programs/python.o
./python -m test --pgo --timeout=
Using random seed: 2112968128
0:00:00 load avg: 1.04 Run 43 tests sequentially in a single process
0:00:00 load avg: 1.04 [ 1/43] test_array
0:00:02 load avg: 1.03 [ 1/43] test_array passed
0:01:01 load avg: 1.03 [21/43] test_dict
0:02:01 load avg: 1.91 [43/43] test_xml_etree_c
Total duration: 2 min 5 sec
Total test files: run=43/43
Result: SUCCESS
make clean-retain-profile
"""
AFTER = """\
touch profile-run-stamp
Rebuilding with profile guided optimizations:
make build_all CFLAGS_NODIST=" -fprofile-use -fprofile-correction" LDFLAGS_NODIST=""
"""


def objects(number: int) -> str:
    return "".join(GCC.format(index) + "\n" for index in range(number))


def follow(passes: Passes, transcript: str) -> list[Progress]:
    """Return the progress after each line that moved it."""
    return [passes.progress() for line in transcript.splitlines() if passes.see(line)]


def test_passes_of_a_training() -> None:
    """Instrumenting and training follow each other, and progress never goes back."""
    passes = Passes("train")
    seen = follow(passes, BEFORE + objects(340) + TRAINING)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.01
    assert fractions[-1] == 0.99
    order = list(dict.fromkeys(progress.doing.split(":")[0] for progress in seen))
    assert order == ["instrumenting (1 of 2)", "training (2 of 2)"]


def test_passes_of_a_compilation_with_a_profile() -> None:
    """With a recorded profile nothing is instrumented: compiling and linking are all there is."""
    passes = Passes("lto")
    seen = follow(passes, AFTER + objects(340))
    assert {progress.doing.split(":")[0] for progress in seen} == {"compiling (1 of 2)"}
    assert 0.40 < seen[-1].fraction < 0.46


def test_passes_of_a_compilation_that_is_bootstrapped() -> None:
    """What freezes modules is compiled first, and counted by itself."""
    passes = Passes("bootstrap-lto")
    freezer = "gcc -pie -fno-lto -o _bootstrap_python Modules/getbuildinfo.o Parser/token.o\n"
    seen = follow(passes, objects(180) + freezer + AFTER + objects(340))
    order = list(dict.fromkeys(progress.doing.split(":")[0] for progress in seen))
    assert order == ["bootstrapping (1 of 3)", "compiling (2 of 3)"]
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert 0.15 < fractions[179] < 0.16


def test_link_is_a_pass_of_its_own() -> None:
    """The last link, at which LTO works for minutes without a word, is told and counted apart."""
    passes = Passes("lto")
    follow(passes, AFTER + objects(370))
    (linking,) = follow(passes, "gcc -pie -Wl,-z,now -o python Programs/python.o Objects/a.o\n")
    assert linking.doing == "linking (2 of 2): the interpreter"
    assert linking.fraction == pytest.approx(0.46)


def test_training_moves_with_the_tests() -> None:
    """While the tests of the training run, their number is the progress."""
    passes = Passes("train")
    follow(passes, BEFORE + objects(340))
    begun = passes.progress().fraction
    (first, *_, last) = follow(passes, TRAINING)
    assert first.doing == "training (2 of 2): 2% of the tests run"
    assert begun <= first.fraction
    assert last.fraction == 0.99


def test_plain_build_counts_its_objects() -> None:
    """Without profile there is one pass; it is not done before make says so."""
    passes = Passes("plain")
    assert passes.progress().fraction == 0
    follow(passes, objects(37))
    assert passes.progress().fraction == pytest.approx(0.097)
    assert passes.progress().doing == "compiling (1 of 2): 37 files"
    follow(passes, objects(1000))
    assert passes.progress().fraction == 0.97


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        (GCC.format("x"), True),
        ("/usr/bin/x86_64-linux-gnu-gcc-12 -pthread -c -o a.o a.c", True),
        ("clang-19 -c a.c", True),
        ("g++ -c a.cc", True),
        ("gcc -shared -o a.so a.o", False),
        ("gcc -o Programs/_freeze_module Programs/_freeze_module.o", False),
        ("./python -E -c 'import sys'", False),
        ("ar rcsD libpython3.13.a a.o", False),
        ("a.c:1:2: warning: [1/2] is odd", False),
    ],
)
def test_what_counts_as_compiled(line: str, counts: bool) -> None:
    """A compiler that makes an object counts, whatever its name; links and archives do not."""
    assert Passes("plain").see(line) is counts


def now(passes: Passes) -> str:
    return passes.progress().doing.partition(" ")[0]


def test_bolt_trains_twice() -> None:
    """With BOLT the trained executable is compiled, and trained again to count its branches."""
    passes = Passes("train-bolt")
    assert passes.see(GCC.format("a"))
    assert passes.see("0:00:01 load avg: 1.04 [ 1/2] test_array")
    assert now(passes) == "training"
    assert passes.see(GCC.format("a"))
    assert (now(passes), passes.objects) == ("bootstrapping", 1)
    assert passes.see("gcc -pie -fno-lto -o _bootstrap_python Parser/token.o")
    assert (now(passes), passes.objects) == ("compiling", 0)
    assert passes.see("gcc -pie -o python Programs/python.o")
    assert now(passes) == "linking"
    before = passes.progress().fraction
    assert passes.see("0:00:01 load avg: 1.04 [ 1/2] test_array")
    assert now(passes) == "counting"
    assert passes.progress().fraction > before
    assert passes.progress().doing == "counting (6 of 6): 50% of the tests run"


def test_passes_of_one_make_that_does_it_all() -> None:
    """Upstream's own rule trains and compiles in one run, whose progress never goes back."""
    link = "gcc -flto -o python Programs/python.o libpython3.13.a\n"
    seen = follow(
        Passes("train-make"), BEFORE + objects(340) + TRAINING + AFTER + objects(340) + link
    )
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] < 0.7
    assert seen[-1].doing == "linking (4 of 4): the interpreter"
