"""Other circumstances for a command: what is chosen, and that each way to vary them does."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from contain_python.errors import ToolchainError
from contain_python.variation import (
    CLOCK_OFFSET,
    HOST,
    USER,
    ZONE,
    Machine,
    Variation,
    clock_library,
    environment,
    examine,
    listed,
    missing_tools,
    observe,
    other_jobs,
    other_locale,
    varied,
    wrapped,
)

INHERITED = {"PATH": "/usr/bin:/bin", "HOME": "/root", "CC": "somebody's"}


def machine(**hindrances: str) -> Machine:
    """Return a machine that allows everything but what is named."""
    return Machine(
        umask=0o022,
        user=0,
        processors=(0, 1, 2),
        locales=("C", "C.utf8", "et_EE.utf8"),
        hindrances={name.replace("_", " "): why for name, why in hindrances.items()},
    )


def run(variation: Variation, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in varied circumstances, as a build is."""
    return subprocess.run(
        wrapped(variation, argv), capture_output=True, text=True, check=False, timeout=60
    )


def answer(variation: Variation, *argv: str | Path) -> str:
    """Return what a command prints in varied circumstances."""
    done = run(variation, *argv)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Variation:
    """Return the variation of the clock alone."""
    folder = tmp_path_factory.mktemp("clock")
    return Variation(clock=str(clock_library(folder, "gcc")))


# --- what is chosen -----------------------------------------------------------------------------


def test_nothing_varied_is_the_command_itself() -> None:
    """A command that nothing is varied for has no wrapper."""
    assert wrapped(Variation(), ["make", Path("x")]) == ("make", "x")


@pytest.mark.parametrize(
    ("variation", "namespaces"),
    [
        (Variation(umask=0o077), ()),
        (Variation(user=USER, processors=(0,)), ()),
        (Variation(host=HOST), ("--uts",)),
        (Variation(clock="/clock.so"), ("--mount",)),
        (Variation(shuffled="/place"), ("--mount",)),
        (Variation(shuffled="/place", host=HOST), ("--mount", "--uts")),
    ],
)
def test_only_needed_namespaces(variation: Variation, namespaces: tuple[str, ...]) -> None:
    """A command gets namespaces of its own for what would change the machine, and no others."""
    assert variation.namespaces == namespaces
    first = wrapped(variation, ["true"])[0]
    assert (first == "unshare") == bool(namespaces)


def test_variation_survives_a_command_line() -> None:
    """What the outer process chose is what the inner one reads."""
    whole = varied(machine(), Path("/build"), Path("/clock.so"), INHERITED)
    assert Variation.parsed(whole.text) == whole
    assert Variation.parsed(Variation().text) == Variation()


def test_everything_allowed_is_varied() -> None:
    """Where the machine allows it, each circumstance is another than its own."""
    chosen = varied(machine(), Path("/build"), Path("/clock.so"), INHERITED)
    assert (chosen.umask, chosen.user, chosen.host) == (0o077, USER, HOST)
    assert (chosen.directory, chosen.shuffled) == ("/build", "/build")
    assert (chosen.clock, chosen.processors) == ("/clock.so", (0, 1))


def test_what_hinders_is_left_as_it_is() -> None:
    """A circumstance that cannot be varied is not tried, and takes no other with it."""
    chosen = varied(
        machine(clock="no", host_name="no", user_id="no", directory_order="no"),
        Path("/build"),
        Path("/clock.so"),
        INHERITED,
    )
    assert (chosen.clock, chosen.host, chosen.user, chosen.shuffled) == ("", "", None, "")
    assert chosen.namespaces == ()
    assert chosen.umask == 0o077


def test_umask_is_never_the_same() -> None:
    """Whoever works with a strict umask already gets the usual one."""
    strict = Machine(umask=0o077, user=0, processors=(0,), locales=(), hindrances={})
    assert varied(strict, Path("/build"), None, INHERITED).umask == 0o022


def test_environment_is_all_other() -> None:
    """Zone, locale, home and what compilers listen to differ; nothing of the caller's gets in."""
    found = environment(machine(), Path("/build"), INHERITED)
    assert found["PATH"].startswith("/usr/bin:/bin:")
    assert (found["TZ"], found["LC_ALL"], found["HOME"]) == (ZONE, "et_EE.utf8", "/build/home")
    assert {"CFLAGS", "MAKEFLAGS", "SOURCE_DATE_EPOCH", "PYTHONHASHSEED"} <= set(found)
    assert "CC" not in found


@pytest.mark.parametrize(
    ("locales", "chosen"),
    [
        ((), "C.UTF-8"),
        (("C", "C.utf8", "POSIX", "en_US.utf8"), "C.UTF-8"),
        (("C", "de_DE", "tr_TR.UTF-8"), "tr_TR.UTF-8"),
    ],
)
def test_other_locale(locales: tuple[str, ...], chosen: str) -> None:
    """A locale with other customs is preferred, if the machine has one."""
    assert other_locale(locales) == chosen


def test_other_number_of_jobs() -> None:
    """One compiler fewer, and two where there was one."""
    assert [other_jobs(jobs) for jobs in (1, 2, 8)] == [2, 1, 7]


# --- what is varied for real ----------------------------------------------------------------------


def test_this_machine_allows_everything(tmp_path: Path) -> None:
    """With the tools of the group "tests", and as root, nothing hinders any variation."""
    assert missing_tools() == {}
    found = examine(tmp_path, "gcc")
    assert {name: why for name, why in found.hindrances.items() if why} == {}
    assert (found.user, found.processors) == (0, tuple(sorted(os.sched_getaffinity(0))))


def test_tool_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its tools a variation is refused with the packages to install; the others work."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("unshare", "mount", "umount", "setpriv", "apt-get", "gcc", "as", "ld"):
        for folder in os.get_exec_path():
            if (Path(folder) / name).exists():
                (tools / name).symlink_to(Path(folder) / name)
                break
    monkeypatch.setenv("PATH", str(tools))
    (tmp_path / "trials").mkdir()
    found = examine(tmp_path / "trials", "gcc")
    assert set(missing_tools()) == {"disorderfs"}
    assert found.hindrances["directory order"].startswith("there is no disorderfs: ")
    assert not found.allows("directory order")
    assert found.allows("host name")


def test_clock_of_every_program(clock: Variation) -> None:
    """Any program sees another day, though nothing in its environment says so."""
    now = time.time()
    assert abs(int(answer(clock, "date", "+%s")) - now - CLOCK_OFFSET) < 30
    assert abs(int(answer(clock, "sh", "-c", "env -i date +%s")) - now - CLOCK_OFFSET) < 30


def test_clock_does_not_hinder_waiting(clock: Variation) -> None:
    """Sleeping, timeouts and locks last as long as they should."""
    script = (
        "import subprocess, threading, time; start = time.monotonic(); time.sleep(0.1); "
        "threading.Event().wait(0.1); subprocess.run(['sleep', '0.1'], timeout=9); "
        "print(time.monotonic() - start)"
    )
    assert 0.3 <= float(answer(clock, "python3", "-c", script)) < 20


def test_make_builds_once_under_another_clock(clock: Variation, tmp_path: Path) -> None:
    """Files keep the kernel's time, so what make built is up to date."""
    (tmp_path / "Makefile").write_text("out: in\n\tcp in out\n")
    (tmp_path / "in").touch()
    assert "cp in out" in run(clock, "make", "-C", tmp_path).stdout
    assert "is up to date" in run(clock, "make", "-C", tmp_path).stdout


def test_host_name_is_the_commands_own() -> None:
    """The command sees another name, and the machine keeps its own."""
    before = os.uname().nodename
    assert answer(Variation(host=HOST), "uname", "-n") == HOST
    assert os.uname().nodename == before != HOST


def test_another_user_reads_what_is_closed(tmp_path: Path) -> None:
    """Another user builds, who can read what stands below a closed directory but not write it."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("text")
    other = Variation(user=USER)
    assert answer(other, "id", "-u") == str(USER)
    assert answer(other, "cat", closed / "file") == "text"
    assert run(other, "touch", closed / "new").returncode != 0


def test_umask_processors_and_directory(tmp_path: Path) -> None:
    """Umask, allowed processors and the directory to start in are the command's own."""
    last = max(os.sched_getaffinity(0))
    changed = Variation(umask=0o027, processors=(last,), directory=str(tmp_path))
    assert answer(changed, "sh", "-c", "umask; nproc; pwd -P").splitlines() == [
        "0027",
        "1",
        str(tmp_path),
    ]


def test_environment_of_the_command() -> None:
    """The command has exactly the given environment, its zone among it."""
    given = {"PATH": os.environ["PATH"], "TZ": ZONE}
    assert answer(Variation(environment=given), "date", "+%Z%z") == "LATE+1345"
    assert set(answer(Variation(environment=given), "env").splitlines()) >= {f"TZ={ZONE}"}


def test_order_of_directories(tmp_path: Path) -> None:
    """The same entries come in another order at each look; behind that nothing has changed."""
    place = tmp_path / "place"
    listed(place)
    shuffled = Variation(shuffled=str(place))
    script = f"ls -U {place}; ls -U {place}; touch {place}/new"
    lines = answer(shuffled, "sh", "-c", script).splitlines()
    looks = lines[:100], lines[100:]
    assert looks[0] != looks[1]
    assert sorted(looks[0]) == sorted(looks[1])
    assert len(list(place.iterdir())) == 101
    assert not place.is_mount()


def test_all_at_once(clock: Variation, tmp_path: Path) -> None:
    """Everything together is seen by one command."""
    place = tmp_path / "place"
    listed(place)
    os.chown(place, USER, USER)
    (place / "home").mkdir()
    (place / "tmp").mkdir()
    allowed = examine(tmp_path, "gcc")
    everything = varied(allowed, place, Path(clock.clock), dict(os.environ))
    seen = observe(everything, place)
    assert abs(seen.time - time.time() - CLOCK_OFFSET) < 30
    assert (seen.host, seen.user, seen.umask) == (HOST, USER, everything.umask)
    assert seen.environment["TZ"] == ZONE
    assert len(seen.entries) == 102


def test_end_of_the_command_is_passed_on() -> None:
    """The status is the command's; one that a signal ended has the shell's number for that."""
    assert run(Variation(host=HOST), "sh", "-c", "exit 6").returncode == 6
    assert run(Variation(host=HOST), "sh", "-c", "kill -KILL $$").returncode == 137


def test_circumstances_that_cannot_be(tmp_path: Path) -> None:
    """What cannot be arranged is an error that says so, and the command does not run."""
    missing = Variation(shuffled=str(tmp_path / "nowhere"))
    done = run(missing, "touch", tmp_path / "ran")
    assert done.returncode == 125
    assert "cannot vary the circumstances" in done.stderr
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ToolchainError):
        observe(missing, tmp_path)
