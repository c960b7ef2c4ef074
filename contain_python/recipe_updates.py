"""The recipe's tables about keeping up to date, and about who vouches for what was built."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Pin:
    """What `outdated` never calls due: a series, a package, a tool; why, and until which day."""

    name: str
    why: str
    until: str = ""


@dataclass(frozen=True, kw_only=True)
class Feeds:
    """`[updates.feeds]`: where what is known elsewhere is fetched; a company can have mirrors."""

    downloads: str = "https://www.python.org/api/v2/downloads/release/"
    cycle: str = "https://peps.python.org/api/release-cycle.json"
    cve: str = "https://cveawg.mitre.org/api/cve"
    psf: str = "https://github.com/psf/advisory-database/archive/refs/heads/main.tar.gz"
    debian: str = "https://security-tracker.debian.org/tracker/data/json"
    osv: str = "https://api.osv.dev/v1/query"


@dataclass(frozen=True, kw_only=True)
class Updates:
    """`[updates]`: when an update is due, in days, and what is never updated (docs/updates.md)."""

    cooling_off_days: int = 14
    end_of_life_days: int = 90
    stale_days: int = 14
    bases: tuple[str, ...] = ()
    pin: tuple[Pin, ...] = ()
    feeds: Feeds = field(default_factory=Feeds)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """`[provenance]`: who builds (a URI), in which image, and the command that signs ("{}")."""

    builder: str = ""
    image: str = ""
    sign: tuple[str, ...] = ()
