"""Move a prefix and bring it back, take its write modes and give them back, make room beside it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from contain_python.confinement import hand_over
from contain_python.files import remove_tree, sorted_entries
from contain_python.subject import Subject


@contextmanager
def moved_to(subject: Subject, name: str) -> Iterator[Subject]:
    """Rename the prefix to a directory beside the tree it came in, and back at the end."""
    # Fixed names: findings quote them, and the manifest holds those.
    beside = subject.root.parent / "contain-relocated"
    beside.mkdir()
    beside.chmod(0o755)
    target = beside / name
    target.parent.mkdir(mode=0o755, parents=True)
    mode = stat.S_IMODE(subject.root.stat().st_mode)
    # Moving a directory changes its "..", for which its owner must be able to write it.
    subject.root.chmod(mode | stat.S_IWUSR)
    subject.root.rename(target)
    target.chmod(mode)
    try:
        yield _at(subject, target)
    finally:
        target.chmod(mode | stat.S_IWUSR)
        target.rename(subject.root)
        subject.root.chmod(mode)
        remove_tree(beside)


def _at(subject: Subject, root: Path) -> Subject:
    return replace(
        subject,
        root=root,
        executable=root / subject.relative(subject.executable),
        stdlib=root / subject.relative(subject.stdlib),
    )


@contextmanager
def read_only(root: Path) -> Iterator[None]:
    """Take everyone's right to write, and give back the real modes at the end."""
    modes = {
        path: stat.S_IMODE(path.stat().st_mode)
        for path in (root, *sorted_entries(root))
        if not path.is_symlink()
    }
    try:
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


@contextmanager
def workplace(subject: Subject, name: str) -> Iterator[Path]:
    """Yield a directory beside the prefix, to which the Python under test may write."""
    # Fixed names here too.
    directory = subject.root.parent / name
    directory.mkdir()
    directory.chmod(0o755)
    hand_over(directory)
    try:
        yield directory
    finally:
        remove_tree(directory)
