"""`./bootstrap`, run by a real sh in a small checkout, with only chosen programs on PATH."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SH_TOOLS = "sh cat dirname env flock head id ls mkdir mv rm sha256sum sleep tail tr".split()  # noqa: SIM905

BACKEND = """
import zipfile

def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        info = "toy-1.0.dist-info"
        wheel.writestr("toy.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: toy\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


class Checkout:
    """A small project beside a copy of `bootstrap`, and a PATH of chosen programs."""

    def __init__(self, root: Path, name: str = "checkout; with 'spaces' & #1") -> None:
        self.root = root / name
        self.tools = root / "tools"
        self.pythons = root / "pythons"
        self.wheels = root / "wheels"
        for directory in (self.root, self.tools, self.pythons, self.wheels):
            directory.mkdir()
        shutil.copy(ROOT / "bootstrap", self.root)
        (self.root / "backend.py").write_text(BACKEND)
        (self.root / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        )
        digest = hashlib.sha256(self._wheel().read_bytes()).hexdigest()
        self.require(digest)
        for tool in SH_TOOLS:
            self.add(tool, shutil.which(tool))

    def _wheel(self) -> Path:
        path = self.wheels / "greeter-1.0-py3-none-any.whl"
        info = "greeter-1.0.dist-info"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(
                "greeter.py", "import sys\ndef main():\n    print('hello', sys.argv[1:])\n"
            )
            wheel.writestr(
                f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n"
            )
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\ngreet = greeter:main\n")
            wheel.writestr(f"{info}/RECORD", "")
        return path

    def require(self, digest: str) -> None:
        """Pin the one package under a hash."""
        pin = f"greeter==1.0 --hash=sha256:{digest}\n"
        (self.root / "requirements.txt").write_text(pin)

    def add(self, name: str, target: str | None) -> None:
        """Put a program on PATH under a name."""
        assert target, f"this machine has no {name}"
        (self.tools / name).symlink_to(target)

    def script(self, name: str, text: str) -> None:
        """Put a shell script on PATH under a name, in place of what was there."""
        (self.tools / name).unlink(missing_ok=True)
        (self.tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.tools / name).chmod(0o755)

    def python(self) -> Path:
        """Put the Python that runs these tests on PATH, and return it."""
        real = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
        (self.pythons / "python3").symlink_to(real)
        return real

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.tools}:{self.pythons}",
            "HOME": str(self.root),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
        }

    def run(
        self, *arguments: str, user: int | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", self.root / "bootstrap", *arguments],
            env=self.environment() | environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            user=user,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_usage_without_arguments(checkout: Checkout) -> None:
    """Without a command bootstrap says what it does and exits 2; with --help it exits 0."""
    bare, asked = checkout.run(), checkout.run("--help")
    assert (bare.returncode, asked.returncode) == (2, 0)
    assert "usage: ./bootstrap COMMAND" in bare.stderr
    assert asked.stdout == bare.stderr


def test_no_python_names_the_commands_for_four_package_managers(checkout: Checkout) -> None:
    """Without any Python there is one message with every manager's command, and exit code 4."""
    done = checkout.run("invoke", "build-python")
    assert done.returncode == 4
    assert done.stdout == ""
    assert "no python3 on PATH" in done.stderr
    for command in (
        "apt-get install --no-install-recommends python3 python3-venv",
        "dnf install",
        "zypper install",
        "apk add python3",
    ):
        assert command in done.stderr
    assert not (checkout.root / ".venv").exists()


def test_unusable_pythons_are_named(checkout: Checkout) -> None:
    """A shim that does not start and a Python that is too old are passed over and reported."""
    checkout.script("python3", "echo 'pyenv: python3: command not found' >&2; exit 127")
    checkout.script("python3.11", "[ \"$2\" = --version ] && echo 'Python 3.9.2' && exit; exit 1")
    done = checkout.run("invoke")
    assert done.returncode == 4
    assert "python3 (pyenv: python3: command not found" in done.stderr
    assert "python3.11 (Python 3.9.2" in done.stderr


def test_environment_is_made_once_and_reused(checkout: Checkout) -> None:
    """Past a broken shim a Python is found, .venv is made whole, and later runs need no Python."""
    checkout.python()
    checkout.script("python3", "exit 127")
    half_made = checkout.root / ".venv/half-made"
    half_made.mkdir(parents=True)

    first = checkout.run("greet", "a b", "--install-deps")
    assert first.stdout == "hello ['a b', '--install-deps']\n", first.stderr
    assert [line.split(" with ")[0] for line in first.stderr.splitlines()] == [
        "bootstrap: making .venv",
        "bootstrap: installing the pinned packages of requirements.txt into .venv",
        "bootstrap: installing this project into .venv",
    ]
    assert not half_made.exists()

    checkout.pythons = Path("/nonexistent")
    again = checkout.run("greet")
    assert (again.stdout, again.stderr) == ("hello []\n", "")

    unknown = checkout.run("nonesuch")
    assert unknown.returncode == 2
    assert "greet" in unknown.stderr


def stamped(checkout: Checkout) -> Path:
    """Give a checkout a complete environment without making one: a Python, a command, a stamp."""
    scripts = checkout.root / ".venv/bin"
    scripts.mkdir(parents=True)
    (scripts / "python").symlink_to(sys.executable)
    (scripts / "greet").write_text("#!/bin/sh\necho kept\n")
    (scripts / "greet").chmod(0o755)
    names = ("pyproject.toml", "requirements.txt", "bootstrap")
    hashes = [hashlib.sha256((checkout.root / name).read_bytes()).hexdigest() for name in names]
    lines = [f"{digest}  {name}\n" for digest, name in zip(hashes, names, strict=True)]
    stamp = checkout.root / ".venv/bootstrap.stamp"
    stamp.write_text("".join(lines) + f"{checkout.root}\n")
    return stamp


def test_current_environment_is_used_at_once(checkout: Checkout) -> None:
    """With a stamp of the very files nothing is made: no Python is looked for."""
    stamped(checkout)
    done = checkout.run("greet")
    assert (done.stdout, done.stderr) == ("kept\n", "")


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.txt", "bootstrap"])
def test_changed_inputs_make_the_environment_stale(checkout: Checkout, name: str) -> None:
    """A change of the project's metadata, pins or bootstrap asks for a new environment."""
    stamped(checkout)
    with (checkout.root / name).open("a") as stream:
        stream.write("# changed\n")
    assert "no usable Python" in checkout.run("greet").stderr


def test_moved_checkout_makes_the_environment_stale(checkout: Checkout) -> None:
    """Environments cannot be moved, so a moved checkout asks for a new one."""
    stamped(checkout)
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert "no usable Python" in checkout.run("greet").stderr


def test_vanished_python_makes_the_environment_stale(checkout: Checkout) -> None:
    """An environment whose Python was removed by an upgrade is not used."""
    stamped(checkout)
    python = checkout.root / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nonexistent/python")
    assert "no usable Python" in checkout.run("greet").stderr


def test_failed_refresh_loses_nothing(checkout: Checkout) -> None:
    """A package whose hash is wrong stops the refresh, shows pip's words, keeps the old .venv."""
    checkout.python()
    stamp = stamped(checkout)
    old = stamp.read_text()
    checkout.require("0" * 64)
    done = checkout.run("greet")
    assert done.returncode == 4
    assert "failed: installing the pinned packages" in done.stderr
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert f"read the full log: {checkout.root}/build/bootstrap.log" in done.stderr
    assert stamp.read_text() == old


def test_failed_first_run_leaves_nothing(checkout: Checkout) -> None:
    """When making the environment fails there is no .venv afterwards."""
    real = checkout.python()
    checkout.script("python3", f'[ "$2" = -m ] && echo "no space" && exit 1; exec {real} "$@"')
    done = checkout.run("greet")
    assert done.returncode == 4
    assert "failed: making .venv with Python" in done.stderr
    assert "no space" in done.stderr
    assert not (checkout.root / ".venv").exists()


def test_why_pip_cannot_be_had_is_shown(checkout: Checkout) -> None:
    """What stops ensurepip is told in its own words: here no file may grow beyond 100 kB."""
    checkout.python()
    command = f'ulimit -f 200; exec /bin/sh "{checkout.root}/bootstrap" greet'
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env=checkout.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "failed: making .venv with Python" in done.stderr
    assert "OSError: [Errno 27] File too large" in done.stderr
    assert not (checkout.root / ".venv").exists()


def test_interrupt_leaves_no_half_made_environment(checkout: Checkout) -> None:
    """Ctrl-C while .venv is being made removes it, and gives back the one it was to replace."""
    real = checkout.python()
    stamp = stamped(checkout)
    (checkout.root / "pyproject.toml").write_text("# changed\n")
    slow = f'[ "$2" = -m ] && mkdir .venv && sleep 600; exec {real} "$@"'
    checkout.script("python3", slow)
    process = subprocess.Popen(
        ["/bin/sh", checkout.root / "bootstrap", "greet"],
        env=checkout.environment(),
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    aside = checkout.root / "build/previous-venv"
    deadline = time.monotonic() + 120
    while not (aside.is_dir() and (checkout.root / ".venv").is_dir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # On a busy machine dash may lose one while it forks: press it again, as one does.
    while process.poll() is None:
        assert time.monotonic() < deadline
        os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert stamp.is_file()
    assert not aside.exists()


@pytest.mark.parametrize("mark", [":", ' "', " $", " `", "\n", "$" + "x" * 100])
def test_place_that_no_environment_can_have(tmp_path: Path, mark: str) -> None:
    """Where scripts could not name their interpreter nothing is made, and the place is told."""
    checkout = Checkout(tmp_path, f"a{mark}b")
    checkout.python()
    done = checkout.run("greet")
    assert done.returncode == 2
    assert "no virtual environment can be made in this directory" in done.stderr
    assert "move or rename the directory" in done.stderr
    assert not (checkout.root / "build").exists()


@pytest.fixture
def shared() -> Iterator[Checkout]:
    """Return root's checkout in a place that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="contain-test-") as folder:
        Path(folder).chmod(0o755)
        yield Checkout(Path(folder))


@pytest.mark.parametrize("made", [False, True])
def test_checkout_of_another_user(shared: Checkout, *, made: bool) -> None:
    """Whoever may not write where .venv is made is told whose it is; 2 is for usage alone."""
    shared.python()
    if made:
        (shared.root / "build").mkdir()
        shared.root.chmod(0o777)
    done = shared.run("greet", user=12345)
    assert done.returncode == 7
    assert f"bootstrap: cannot write to {shared.root}/" in done.stderr
    assert "this is user 12345" in done.stderr
    assert "a clone of your own" in done.stderr
    assert "cannot create" not in done.stderr


def test_home_of_another_user(shared: Checkout) -> None:
    """A home that this user may not enter is told before Invoke ends with a traceback."""
    stamp = stamped(shared)
    (stamp.parent / "bin/invoke").write_text("#!/bin/sh\necho started\n")
    (stamp.parent / "bin/invoke").chmod(0o755)
    (stamp.parent / "bin/python").unlink()
    (stamp.parent / "bin/python").symlink_to("/bin/true")
    home = shared.root / "home"
    home.mkdir(mode=0o700)
    refused = shared.run("invoke", user=12345, HOME=str(home))
    assert refused.returncode == 7
    assert f"the home directory {home} cannot be entered" in refused.stderr
    assert "HOME=/tmp ./bootstrap" in refused.stderr
    home.chmod(0o755)
    (home / ".invoke.yaml").touch(mode=0o600)
    unread = shared.run("invoke", user=12345, HOME=str(home))
    assert (unread.returncode, ".invoke.yaml cannot be read" in unread.stderr) == (7, True)
    (home / ".invoke.yaml").unlink()
    assert shared.run("invoke", user=12345, HOME=str(home)).stdout == "started\n"
    assert shared.run("greet", user=12345, HOME="/nowhere").stdout == "kept\n"


def test_output_of_others_is_told_without_its_commands(checkout: Checkout) -> None:
    """What a terminal would obey in pip's or APT's last lines is left out."""
    checkout.script("id", "echo 0")
    checkout.script("apt-get", "printf 'E: \\033[2Jno mirror\\007\\n'; exit 100")
    done = checkout.run("invoke", "--install-deps")
    assert "E: [2Jno mirror\n" in done.stderr


def test_install_deps_needs_root(checkout: Checkout) -> None:
    """--install-deps as an ordinary user says so, with the commands for someone who may."""
    checkout.script("id", "echo 1000")
    checkout.script("apt-get", "touch /nonexistent/called; exit 1")
    done = checkout.run("invoke", "test", "--install-deps")
    assert done.returncode == 4
    assert "--install-deps needs root" in done.stderr
    assert "installing" not in done.stderr


def test_install_deps_installs_a_python(checkout: Checkout) -> None:
    """As root, --install-deps refreshes APT's index and installs Python and nothing more."""
    calls = checkout.root / "calls"
    checkout.script("id", "echo 0")
    install = (
        "noninteractive --yes -o DPkg::Lock::Timeout=120 --no-install-recommends install"
        " python3 python3-venv"
    )
    checkout.script("apt-get", f'echo "$DEBIAN_FRONTEND $*" >>"{calls}"; echo "E: no mirror"')
    done = checkout.run("invoke", "test", "--install-deps")
    assert calls.read_text().splitlines()[:2] == [
        " update",
        install,
    ]
    # This stand-in for apt-get installs nothing, so that is what the message has to say.
    assert done.returncode == 4
    assert "too old or incomplete" in done.stderr


def test_failed_package_manager_is_shown(checkout: Checkout) -> None:
    """When the package manager fails, its own last words and the log's place are shown."""
    checkout.script("id", "echo 0")
    checkout.script("apt-get", 'echo "E: Temporary failure resolving the mirror"; exit 100')
    done = checkout.run("invoke", "test", "--install-deps")
    assert done.returncode == 4
    assert "failed: updating APT's package index (exit status 100)" in done.stderr
    assert "Temporary failure resolving" in done.stderr


def test_ci_runs_the_documented_line_and_nothing_else() -> None:
    """.ci/run is the README's second command, from the repository's root."""
    lines = (ROOT / ".ci/run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == [
        "set -eu",
        'cd "$(dirname "$0")/.."',
        "./bootstrap invoke test --install-deps",
    ]


def test_every_pin_is_exact_and_hashed() -> None:
    """requirements.txt pins each package with == and hashes, and names no index."""
    text = (ROOT / "requirements.txt").read_text()
    entries = text.replace("\\\n", " ").splitlines()
    pins = [line for line in entries if line and not line.lstrip().startswith("#")]
    assert len(pins) > 10
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)
    assert "://" not in text
