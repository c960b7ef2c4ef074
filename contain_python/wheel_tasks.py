"""The tasks about wheels and virtual environments, as the command line offers them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from contain_python.console import Console
from contain_python.offers import Offer
from contain_python.wheels import house, twice, venv

_OUTPUT = {"verbose": False, "json": False}
_RECIPE = "the recipe (default: contain.toml here, or else this tool's own)"
_WHEELS = {one.name: one.default for one in fields(house.WheelOptions)}
#: What a check decides by itself.
_CHECKED = {
    name: default
    for name, default in _WHEELS.items()
    if name not in {"cold", "cache", "wheelhouse"}
}
_VENV = {one.name: one.default for one in fields(venv.VenvOptions)}
_HELP = {
    "requirements": "a requirements file; if any has a hash, all must have one",
    "wheelhouse": "the directory of the wheels, replaced as a whole",
    "interpreter": "the Python to build with (default: python3 in the recipe's prefix)",
    "plat": "the newest platform that a wheel may need, as manylinux_2_28_x86_64",
    "no-binary": 'names that are built from source though there is a wheel, or ":all:"',
    "only-binary": 'names of which only a published wheel is taken, or ":all:"',
    "require-hashes": "refuse a requirements file without hashes",
    "build-requirements": "a file of build requirements with hashes; no others are taken then",
    "recipe": _RECIPE,
    "cache": "where built wheels are kept (default: $XDG_CACHE_HOME/contain-python)",
    "workspace": "where to build, and where the logs are",
    "verbose": "show what pip, build systems and auditwheel print",
    "locked": "an earlier wheelhouse.json: fetch and build with exactly what it names",
    "cold": "use no wheel that was kept, and keep none",
}


def _build_wheels(console: Console, given: dict[str, Any]) -> None:
    house.build_wheels(house.WheelOptions(**given), console)


def _check_wheels(console: Console, given: dict[str, Any]) -> None:
    twice.check_wheels(house.WheelOptions(**given), console)


def _build_venv(console: Console, given: dict[str, Any]) -> None:
    venv.build_venv(venv.VenvOptions(**given), console)


OFFERS = (
    Offer(
        name="build-wheels",
        body=_build_wheels,
        doc="Build a wheelhouse: every requirement as a self-contained, reproducible wheel.",
        options={**_WHEELS, **_OUTPUT},
        help=_HELP,
    ),
    Offer(
        name="check-wheels",
        body=_check_wheels,
        doc="Build a wheelhouse twice, cold and in other circumstances, and compare every byte.",
        options={**_CHECKED, **_OUTPUT},
        help=_HELP,
    ),
    Offer(
        name="build-venv",
        body=_build_venv,
        doc="Make a virtual environment from a wheelhouse: whole, compiled, verified, packed.",
        options={**_VENV, **_OUTPUT},
        help={
            "recipe": _RECIPE,
            "workspace": "where the log is",
            "verbose": "show what pip prints",
            "wheelhouse": "the directory that build-wheels filled",
            "venv": "where it is made, and will stand in the runtime image",
            "interpreter": "the Python to make it with (default: python3 in the recipe's prefix)",
            "with-pip": "let it have pip, which production does not need",
            "runtime": "where it will run: the runtime's manifest, or its files in a directory",
            "packages": "write the distribution's packages that it needs into this file",
            "pack": "write it as a tarball, NAME.tar.zst, .tar.xz or .tar.gz",
        },
    ),
)
