"""An environment runs with the Python that it was made from, or is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pythons import make_python

from contain_python.errors import CheckError
from contain_python.wheels.verifying import refuse_another_base


def test_environment_through_a_link(tmp_path: Path) -> None:
    """A moved Python without our patch is lost in an environment that was made through a link."""
    python = make_python(tmp_path / "python")
    link = tmp_path / "bin" / "python3"
    link.parent.mkdir()
    link.symlink_to(python.executable)
    for name, maker in (("honest", python.executable), ("linked", link)):
        home = tmp_path / name
        subprocess.run([maker, "-m", "venv", "--without-pip", home], check=True)
    refuse_another_base(tmp_path / "honest/bin/python", python.root)
    with pytest.raises(
        CheckError, match="does not run with the Python that it was made from"
    ) as it:
        refuse_another_base(tmp_path / "linked/bin/python", python.root)
    assert "not a link to it" in it.value.remedy
