"""The tasks that keep up to date and show what is inside, as the command line offers them."""

from __future__ import annotations

from typing import Any

from contain_python import attestation
from contain_python.console import Console
from contain_python.offers import Offer


def _verify_provenance(console: Console, given: dict[str, Any]) -> None:
    attestation.verify_provenance(given.pop("target"), console, **given)


OFFERS = (
    Offer(
        name="verify-provenance",
        body=_verify_provenance,
        doc="Check a tarball against the provenance beside it: verify-provenance TARBALL.",
        options={
            "target": "",
            "statement": "",
            "builder": "",
            "lock": "releases.lock",
            "json": False,
        },
        positional="target",
        help={
            "target": "a tarball in dist/, beside its manifest, bill of materials and provenance",
            "statement": "another statement than the one beside it",
            "builder": "the URI of the builder that you trust; another one fails",
            "lock": "the lock file that pins the source",
        },
    ),
)
