"""What an image's environment does to its Python."""

from __future__ import annotations

import pytest

from contain_python.image_environment import check_environment
from contain_python.image_files import ImageFile

FILE, DIRECTORY, LINK = 0o100644, 0o040755, 0o120777
FILES = [
    ImageFile(name="lib", mode=LINK, link="usr/lib"),
    *(ImageFile(name=name, mode=DIRECTORY) for name in ("app", "plug", "usr", "usr/lib", "etc")),
    ImageFile(name="app/web.py", mode=FILE),
    ImageFile(name="plug/sitecustomize.py", mode=FILE),
    ImageFile(name="plug/json", mode=DIRECTORY),
    ImageFile(name="plug/json/__init__.py", mode=FILE),
    ImageFile(name="usr/lib/libjemalloc.so.2", mode=FILE),
    ImageFile(name="etc/bundle.pem", mode=LINK, link="/usr/share/bundle.pem"),
    ImageFile(name="etc/round.pem", mode=LINK, link="/etc/round.pem"),
    *(ImageFile(name=f"usr/{name}", mode=DIRECTORY) for name in ("share", "share/zoneinfo")),
    ImageFile(name="usr/share/bundle.pem", mode=FILE),
    ImageFile(name="usr/share/zoneinfo/Europe", mode=DIRECTORY),
    ImageFile(name="usr/share/zoneinfo/Europe/Berlin", mode=FILE),
]


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("PYTHONHOME=/opt", "is '/opt'"),
        ("PYTHONPLATLIBDIR=lib64", "is 'lib64'"),
        ("PYTHONDEVMODE=1", "is '1'"),
        ("PYTHONSTARTUP=/app/web.py", "is '/app/web.py'"),
        ("PYTHONINSPECT=1", "is '1'"),
        ("PYTHONOPTIMIZE=2", "is '2'"),
        ("PYTHONWARNINGS=error", "is 'error'"),
        ("PYTHONWARNINGS=ignore,error::DeprecationWarning", "is 'ignore,error::Dep"),
        ("PYTHONHASHSEED=0", "is '0'"),
        ("PYTHONMALLOC=pymalloc_debug", "is 'pymalloc_debug'"),
        ("PYTHONPATH=/plug", "leads to /plug/sitecustomize.py, which runs at every start"),
        ("PYTHONPATH=/app:/plug", "leads to /plug/json, which stands in for the module json"),
        ("PYTHONPATH=/app:", "has '', which is no absolute path"),
        ("LD_LIBRARY_PATH=lib", "has 'lib', which is no absolute path"),
        ("LD_PRELOAD=/lib/libnone.so", "names /lib/libnone.so, which is not there"),
        ("LD_PRELOAD=libnone.so", "names libnone.so, which is not there"),
        ("SSL_CERT_FILE=/etc/none.pem", "names /etc/none.pem, which is not there"),
        ("SSL_CERT_FILE=/etc/round.pem", "names /etc/round.pem, which is not there"),
        ("TZ=Mars/Olympus", "is 'Mars/Olympus', a time zone that is not there"),
        ("TZ=:Europe/Paris", "is ':Europe/Paris', a time zone that is not there"),
    ],
)
def test_what_harms(variable: str, told: str) -> None:
    """A variable that changes every start, or names what is not there, is an error by its name."""
    findings = check_environment([variable], FILES).findings
    assert any(one.level == "error" and told in one.what for one in findings), findings
    assert {one.where for one in findings} == {f"ENV {variable.partition('=')[0]}"}


@pytest.mark.parametrize(
    "variable",
    [
        *("PYTHONPATH=/app", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "PYTHONDEVMODE="),
        *("PYTHONHASHSEED=random", "PYTHONWARNINGS=ignore", "PYTHON_VERSION=3.13.15"),
        *("LD_PRELOAD=/lib/libjemalloc.so.2", "LD_PRELOAD=libjemalloc.so.2"),
        *("SSL_CERT_FILE=/etc/bundle.pem", "TZ=Europe/Berlin", "TZ=:Europe/Berlin", "TZ=UTC"),
        *("TZ=CET-1CEST", "TZ=<+05>-5", "TZ=/usr/share/zoneinfo/Europe/Berlin", "LANG=C.UTF-8"),
        "PATH=/opt/myorg/python/bin:/usr/bin",
    ],
)
def test_what_does_not(variable: str) -> None:
    """What images set for good reasons passes; so does an empty variable, which is none."""
    assert check_environment([variable], FILES).findings == ()
