"""The tasks that keep up to date and show what is inside, as the command line offers them."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from typing import Any

from contain_python import attestation, commands
from contain_python.console import Console
from contain_python.locking import lock
from contain_python.offers import Offer
from contain_python.updating import outdated, upgrade

#: What a build takes, but for what says which source it is: upgrade looks for that itself.
_BUILD = {
    item.name: item.default
    for item in fields(commands.Options)
    if item.name not in {"dry_run", "source", "sha256"}
}
_UPGRADE = {item.name: item.default for item in fields(upgrade.Wanted)}


def _now() -> dt.datetime:
    return dt.datetime.now(tz=dt.UTC)


def _lock(console: Console, given: dict[str, Any]) -> None:
    lock.lock(lock.Wanted(**given), console, _now())


def _outdated(console: Console, given: dict[str, Any]) -> int:
    return outdated.outdated(outdated.Wanted(**given), console, _now())


def _upgrade(console: Console, given: dict[str, Any]) -> None:
    wanted = upgrade.Wanted(**{name: given.pop(name) for name in _UPGRADE})
    upgrade.upgrade(wanted, commands.Options(**given), console, _now())


def _verify_provenance(console: Console, given: dict[str, Any]) -> None:
    attestation.verify_provenance(given.pop("target"), console, **given)


OFFERS = (
    Offer(
        name="lock",
        body=_lock,
        doc="Find releases, verify their sources, and pin them in releases.lock.",
        options={**{item.name: item.default for item in fields(lock.Wanted)}, "json": False},
        help={
            "python": 'series ("3.13 3.14": the newest of each) or versions, which are verified'
            " again (default: the recipe's)",
            "unverified": "pin a source that nothing vouches for; the lock, each manifest and each"
            " provenance tell it",
            "trust-config": "Sigstore's trust configuration (JSON), in place of its public one",
            "offline": "no network: the mirrors' directories, the cache, and what was fetched last",
            "dry-run": "verify, and leave releases.lock as it is; the source goes into the cache",
        },
    ),
    Offer(
        name="outdated",
        body=_outdated,
        doc="Tell what is newer than what was locked and built, and when it is due.",
        options={**{item.name: item.default for item in fields(outdated.Wanted)}, "json": False},
        help={
            "dist": "the artifacts whose linked packages are looked up",
            "offline": "no network: what was fetched last, whose age is told",
        },
    ),
    Offer(
        name="upgrade",
        body=_upgrade,
        doc="Take a series to its newest release: lock, build, verify, compare, test, tell.",
        options={**_UPGRADE, **_BUILD, "verbose": False, "json": False},
        help={
            "tests": 'CPython\'s tests to run: "" is all of them, "none", or names',
            "note": "the file for what changed (default: dist/upgrade-OLD-to-NEW.md)",
            "trust-config": "as for lock",
            "unverified": "as for lock",
        },
    ),
    Offer(
        name="verify-provenance",
        body=_verify_provenance,
        doc="Check a tarball against the provenance beside it: verify-provenance TARBALL.",
        options={
            "target": "",
            "statement": "",
            "builder": "",
            "lock": "",
            "json": False,
        },
        positional="target",
        help={
            "target": "a tarball in dist/, beside its manifest, bill of materials and provenance",
            "statement": "another statement than the one beside it",
            "builder": "the URI of the builder that you trust; another one fails",
            "lock": "the lock file that pins the source (default: releases.lock, if it is here)",
        },
    ),
)
