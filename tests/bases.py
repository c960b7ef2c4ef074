"""Make Debian base images as registries ship them, from the machine's own APT pool.

Real `-slim` images carry an APT hook that empties caches (docker-clean) and dpkg rules that leave
documentation out; a test on a base without them would prove less than it says.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

_RM = (
    "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin"
)
_DOCKER_CLEAN = f"""\
DPkg::Post-Invoke {{ "{_RM} || true"; }};
APT::Update::Post-Invoke {{ "{_RM} || true"; }};
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
_DOCKER_NO_LANGUAGES = 'Acquire::Languages "none";\n'
_SLIM = (
    "path-exclude /usr/share/doc/*",
    "path-include /usr/share/doc/*/copyright",
    "path-exclude /usr/share/groff/*",
    "path-exclude /usr/share/info/*",
    "path-exclude /usr/share/linda/*",
    "path-exclude /usr/share/lintian/*",
    "path-exclude /usr/share/locale/*",
    "path-exclude /usr/share/man/*",
)
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_AUTHORITIES = Path("/usr/local/share/ca-certificates")


def apt_pools() -> dict[str, str]:
    """Return the base URIs of the machine's Debian archive and of its security archive."""
    shown = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SUITE) $(CODENAME) $(REPO_URI)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    pools: dict[str, str] = {}
    for line in shown.splitlines():
        name = " ".join(line.split()[:-1])
        pools.setdefault("security" if "security" in name else "main", line.split()[-1])
    return pools


def source_lines(codename: str) -> list[str]:
    """Return one-line APT sources of a Debian release: its own, its updates', its security's."""
    pools = apt_pools()
    lines = [f"{pools['main']} {codename} main", f"{pools['main']} {codename}-updates main"]
    if "security" in pools:
        lines.append(f"{pools['security']} {codename}-security main")
    return [f"deb [signed-by={_KEYRING}] {line}" for line in lines]


def make_base(codename: str, target: Path, *packages: str) -> Path:
    """Write the root of a `debian:CODENAME-slim` as a tar, with the machine's APT sources."""
    with tempfile.TemporaryDirectory() as folder:
        extra = Path(folder)
        _write(extra / "etc/apt/apt.conf.d/docker-clean", _DOCKER_CLEAN)
        _write(extra / "etc/apt/apt.conf.d/docker-no-languages", _DOCKER_NO_LANGUAGES)
        _write(extra / "etc/dpkg/dpkg.cfg.d/docker", "\n".join(_SLIM) + "\n")
        _write(extra / "etc/apt/apt.conf.d/99machine", machine_apt())
        for authority in sorted(_AUTHORITIES.glob("*.crt")):
            _write(extra / str(authority).lstrip("/"), authority.read_text(encoding="utf-8"))
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
                "--include=usr-is-merged",
                *(f"--include={package}" for package in packages),
                *(f"--dpkgopt={rule.replace(' ', '=', 1)}" for rule in _SLIM),
                *(f"--aptopt={line}" for line in machine_apt().splitlines()),
                f"--customize-hook=copy-in {extra}/etc {extra}/usr /",
                '--customize-hook=rm -f "$1"/var/cache/apt/*.bin',
                codename,
                str(target),
                "-",
            ],
            input="\n".join(source_lines(codename)) + "\n",
            text=True,
            check=True,
        )
    return target


def make_old_root(codename: str, target: Path) -> Path:
    """Make a root of an older release, of which the archive may have no updates any more."""
    subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=minbase"),
            *(f"--aptopt={line}" for line in machine_apt().splitlines()),
            *(codename, str(target), "-"),
        ],
        input=source_lines(codename)[0] + "\n",
        text=True,
        check=True,
    )
    return target


def extract_package(codename: str, package: str, target: Path) -> Path:
    """Extract a package of a Debian release, with what it depends on, into a directory."""
    subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=extract", f"--include={package}"),
            *(f"--aptopt={line}" for line in machine_apt().splitlines()),
            *(codename, str(target), "-"),
        ],
        input=source_lines(codename)[0] + "\n",
        text=True,
        check=True,
    )
    return target


def machine_apt() -> str:
    """Return how the machine's APT is told to trust its mirror, as configuration lines."""
    wanted = ("Acquire::Check-Valid-Until", "Acquire::Check-Date")
    return subprocess.run(
        ["apt-config", "dump", *wanted], check=True, capture_output=True, text=True
    ).stdout


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
