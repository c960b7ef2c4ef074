"""What two builds have in common though they should not is told."""

from __future__ import annotations

from contain_python.variation import Machine, Variation
from contain_python.wheels.twice import _same

ENVIRONMENT = dict.fromkeys(
    ("TZ", "LC_ALL", "HOME", "TMPDIR", "PYTHONHASHSEED", "CFLAGS"), "another"
)


def test_what_a_machine_cannot_vary() -> None:
    """Each circumstance that stays is named, with the reason and what to install."""
    lacking = "there is no disorderfs: apt-get install disorderfs"
    machine = Machine(
        umask=0o022,
        user=0,
        processors=(0,),
        locales=(),
        hindrances={"clock": "", "host name": "", "user id": "", "directory order": lacking},
    )
    varied = Variation(environment=ENVIRONMENT, umask=0o077, clock="/clock.so", host="varied")
    assert _same(machine, varied) == {
        "number of processors": "there is one, or one may be used",
        "order of directories": lacking,
    }
