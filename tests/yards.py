"""Where images are built for tests: a copy of the project, and an engine with base images."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemons import Docker
from toypython import ROOT

#: Nothing is optimised, and little compressed, to save time.
QUICK = "--optimize none --format gz"

#: What the builder of Debian 12 holds side by side.
SEVERAL = "3.13.15 3.11.2 3.14.7"

#: The machine's way to its index, as `invoke image` passes it on.
SECRET = ["--secret", "id=pip.conf,src=/etc/pip.conf"] if Path("/etc/pip.conf").exists() else []

Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True, kw_only=True)
class Yard:
    """A copy of what the images are built from, and the engine that builds them."""

    root: Path
    engine: Docker

    def invoke(self, *words: str | Path, environment: Mapping[str, str] | None = None) -> Done:
        """Run a task with the copy's recipe."""
        return subprocess.run(
            [sys.executable, "-m", "invoke", *map(str, words)],
            cwd=ROOT,
            env=environment or self.engine.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def image(self, tag: str, *words: str, options: str = QUICK) -> dict[str, Any]:
        """Build images; return each by its target."""
        done = self.invoke(
            *("image", "--recipe", self.root / "contain.toml", "--network", "host", "--json"),
            *("--options", options, "--tag", tag, *words),
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return {event["target"]: event for event in events if event["event"] == "image"}

    @property
    def logs(self) -> list[str]:
        """Return what each build of a builder printed, in their order."""
        text = (self.root / "build/logs/image-builder.log").read_text()
        return text.split("$ cd ")[1:]


#: What compiles sooner, where no test looks at the speed.
SOON = "['-O1']"


def build_soon(dist: Path, *words: str) -> None:
    """Build the project's own recipe into a directory, not optimised."""
    soon = ("--optimize=none", f"--set=compiler.cflags={SOON}", f"--dist={dist}")
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "build-python", *words, *soon],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def copy_of_project(root: Path) -> Path:
    """Copy what a clone has, without what was built in it, to compile sooner."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    recipe = root / "contain.toml"
    text = recipe.read_text(encoding="utf-8")
    assert "\ncflags = []\n" in text
    recipe.write_text(text.replace("\ncflags = []\n", f"\ncflags = {SOON}\n"), encoding="utf-8")
    return root
