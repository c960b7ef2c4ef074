"""The pipelines that teams copy: their order, and that each line is a whole command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

TEMPLATES = Path(__file__).parents[2] / "templates"

#: What GitHub runs for `shell: bash`, and what GitLab runs where there is no bash.
SHELLS = {"github": "bash", "gitlab": "dash"}


def load(name: str) -> dict[str, Any]:
    """Return a template's data."""
    data: dict[str, Any] = yaml.safe_load((TEMPLATES / name).read_text())
    return data


def github_lines() -> list[str]:
    """Return the commands of the GitHub workflow, in order."""
    steps = load("github-actions.yml")["jobs"]["image"]["steps"]
    return [line for step in steps for line in step.get("run", "").splitlines() if line]


def upgrade_lines() -> dict[str, list[str]]:
    """Return the commands of the scheduled upgrade of each template."""
    steps = load("github-actions.yml")["jobs"]["upgrade"]["steps"]
    github = [line for step in steps for line in step.get("run", "").splitlines() if line]
    return {"github": github, "gitlab": load("gitlab-ci.yml")["upgrade"]["script"]}


def gitlab_lines() -> list[str]:
    """Return the commands of the GitLab pipeline, in order."""
    data = load("gitlab-ci.yml")
    scripts = (data["default"]["before_script"], data["image"]["script"], data["publish"]["script"])
    return [line for script in scripts for line in script]


@pytest.mark.parametrize("lines", [github_lines(), gitlab_lines()], ids=["github", "gitlab"])
def test_scan_and_signature_have_their_place(lines: list[str]) -> None:
    """Scan and signature stand in both pipelines, after the verification and before the end."""
    order = [line.split()[0] for line in lines if line.startswith(("trivy ", "cosign "))]
    assert order == ["trivy", "cosign"]
    verified = next(index for index, line in enumerate(lines) if "verify-image" in line)
    pushed = next(index for index, line in enumerate(lines) if line.startswith("docker push"))
    assert verified < pushed


def test_actions_are_pinned_by_commit() -> None:
    """No tag that others can move decides what runs with our rights."""
    used = [
        step["uses"]
        for job in load("github-actions.yml")["jobs"].values()
        for step in job["steps"]
        if "uses" in step
    ]
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", one)] == []


def test_rebuilt_on_updates() -> None:
    """Each run looks for updates as of its day, and GitHub's runs daily."""
    assert all(
        any("--updates-as-of" in line for line in lines)
        for lines in (github_lines(), gitlab_lines())
    )
    # YAML 1.1 reads a bare `on` as true.
    triggers = load("github-actions.yml")[True]  # type: ignore[index]
    assert triggers["schedule"]


def test_shells_of_the_templates() -> None:
    """Every line is a whole command for its shell: bash on GitHub, a plain sh on GitLab."""
    assert load("github-actions.yml")["defaults"]["run"]["shell"] == "bash"
    jobs = [("github", github_lines()), ("gitlab", gitlab_lines()), *upgrade_lines().items()]
    for name, lines in jobs:
        shell = SHELLS[name]
        for line in lines:
            assert subprocess.run([shell, "-n", "-c", line], check=False).returncode == 0, line


def test_upgrades_remember_the_day_before() -> None:
    """Both keep the feeds, where first-seen days are, and the artifacts to compare with."""
    job = load("github-actions.yml")["jobs"]["upgrade"]
    (kept,) = (step["with"] for step in job["steps"] if "cache" in step.get("uses", ""))
    assert kept["path"].split() == [".cache/contain-python/feeds", "dist"]
    assert kept["key"].startswith(kept["restore-keys"])
    assert job["env"]["XDG_CACHE_HOME"] == "${{ github.workspace }}/.cache"
    gitlab = load("gitlab-ci.yml")["upgrade"]
    assert gitlab["cache"]["paths"] == kept["path"].split()
    assert gitlab["variables"]["XDG_CACHE_HOME"] == "$CI_PROJECT_DIR/.cache"


@pytest.mark.parametrize("name", SHELLS)
def test_upgrade_on_a_schedule(name: str) -> None:
    """It audits, looks what is due, and upgrades, in this order, with options that there are."""
    lines = upgrade_lines()[name]
    tasks = [
        words[words.index("invoke") + 1]
        for words in (line.split() for line in lines)
        if "invoke" in words
    ]
    assert tasks == ["audit", "outdated", "upgrade"]
    for task in tasks:
        done = subprocess.run(
            [sys.executable, "-m", "invoke", "--help", task],
            cwd=TEMPLATES.parent,
            capture_output=True,
            text=True,
            check=True,
        )
        (line,) = [line for line in lines if f"invoke {task} " in line]
        given = line.partition(f"invoke {task}")[2].partition("|")[0]
        for option in re.findall(r" (--[a-z-]+)", given):
            assert option in done.stdout, (task, option)
