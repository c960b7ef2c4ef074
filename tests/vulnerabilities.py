"""Advisories in their real formats, trimmed; and a server that has them all.

The facts are those of the CVE programme, the PSF, OSV and Debian's security tracker, at some time.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from servers import Answer, Handler
from values import write

TARFILE = "CVE-2025-8194"
COOKIES = "CVE-2024-7592"
HANDSHAKE = "CVE-2023-40217"
URLPARSE = "CVE-2023-24329"

#: The ranges of CVE-2025-8194.
LATEST = (
    ("0", "3.9.24"),
    ("3.10.0", "3.10.19"),
    ("3.11.0", "3.11.14"),
    ("3.12.0", "3.12.12"),
    ("3.13.0", "3.13.6"),
    ("3.14.0a1", "3.14.0rc2"),
)


def cve(
    name: str = TARFILE,
    ranges: tuple[tuple[str, str], ...] = LATEST,
    *,
    versions: list[dict[str, Any]] | None = None,
    product: str = "CPython",
    score: float | None = 7.5,
    **entry: object,
) -> dict[str, Any]:
    """Return a CVE record as the PSF writes it."""
    rows = [
        {"version": start, "lessThan": end, "status": "affected", "versionType": "python"}
        for start, end in ranges
    ]
    affected = {
        "defaultStatus": "unaffected",
        "product": product,
        "repo": "https://github.com/python/cpython",
        "vendor": "Python Software Foundation",
        "versions": rows if versions is None else versions,
        **entry,
    }
    metric = {"cvssV3_1": {"baseScore": score, "baseSeverity": "HIGH", "version": "3.1"}}
    return {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.1",
        "cveMetadata": {"cveId": name, "state": "PUBLISHED", "assignerShortName": "PSF"},
        "containers": {
            "cna": {
                "affected": [affected],
                "title": "Tarfile infinite loop during parsing with negative member offset",
                "metrics": [] if score is None else [metric],
            },
            "adp": [{"metrics": [{"other": {"type": "ssvc", "content": {}}}]}],
        },
    }


def mitre(name: str = URLPARSE) -> dict[str, Any]:
    """Return a record as MITRE wrote them for others: without product and versions."""
    nothing = {
        "vendor": "n/a",
        "product": "n/a",
        "versions": [{"version": "n/a", "status": "affected"}],
    }
    text = "An issue in the urllib.parse component of Python before 3.11.4 allows attackers to …"
    return {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.1",
        "cveMetadata": {"cveId": name, "state": "PUBLISHED", "assignerShortName": "mitre"},
        "containers": {"cna": {"affected": [nothing], "descriptions": [{"value": text}]}},
    }


def psf(
    identity: str, *names: str, events: list[dict[str, str]] | None = None, **more: object
) -> dict[str, Any]:
    """Return a record of the PSF's database: commits, and versions in some."""
    commits = {
        "type": "GIT",
        "repo": "https://github.com/python/cpython",
        "events": [{"introduced": "0"}, {"fixed": "b4bcc06a9cfe13d96d5270809d963f8ba278f89b"}],
    }
    versions = [{"type": "ECOSYSTEM", "events": events}] if events else []
    return {
        "schema_version": "1.5.0",
        "id": identity,
        "modified": "2023-08-25T16:05:33Z",
        "aliases": list(names),
        "summary": "Bypass TLS handshake on closed sockets",
        "affected": [{"ranges": [commits, *versions]}],
        **more,
    }


#: CVE-2023-40217, for which the PSF's database has versions.
HANDSHAKE_EVENTS = [
    {"introduced": "0"},
    {"fixed": "3.8.18"},
    {"introduced": "3.11.0"},
    {"fixed": "3.11.5"},
    {"introduced": "3.12.0a1"},
    {"fixed": "3.12.0rc2"},
]


def database(*records: dict[str, Any]) -> bytes:
    """Return the PSF's database as GitHub packs it, the same bytes whenever it is made."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for record in records:
            text = json.dumps(record).encode()
            member = tarfile.TarInfo(
                f"advisory-database-main/advisories/python/{record['id']}.json"
            )
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return out.getvalue()


def osv(identity: str = "GHSA-4xh5-x5gv-qwph", **more: object) -> dict[str, Any]:
    """Return OSV's record of pip's CVE-2025-8869."""
    return {
        "id": identity,
        "modified": "2025-10-24T19:43:51Z",
        "aliases": ["CVE-2025-8869"],
        "summary": "pip's fallback tar extraction doesn't check symbolic links point to extraction"
        " directory",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "pip", "purl": "pkg:pypi/pip"},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "25.3"}]}
                ],
            }
        ],
        "database_specific": {"severity": "MODERATE"},
        **more,
    }


def issue(**releases: dict[str, Any]) -> dict[str, Any]:
    """Return a CVE of a source package in Debian's tracker."""
    return {"description": "It is described here.", "scope": "remote", "releases": releases}


RESOLVED = {"status": "resolved", "urgency": "not yet assigned"}

#: Debian's tracker, of a few sources.
TRACKER = {
    "expat": {
        "CVE-2024-45490": issue(
            bookworm={**RESOLVED, "fixed_version": "2.5.0-1+deb12u1"},
            sid={**RESOLVED, "fixed_version": "2.6.3-1"},
        ),
        "CVE-2013-0340": issue(
            bookworm={"status": "open", "urgency": "unimportant"},
            sid={"status": "open", "urgency": "unimportant"},
        ),
    },
    "libb2": {},
    "openssl": {
        "CVE-2024-4741": issue(
            bookworm={**RESOLVED, "fixed_version": "3.0.14-1~deb12u1"},
            bullseye={
                "status": "open",
                "urgency": "not yet assigned",
                "nodsa": "Minor issue",
                "nodsa_reason": "postponed",
            },
            sid={**RESOLVED, "fixed_version": "3.2.2-1"},
        ),
        "CVE-2014-0160": issue(bookworm={**RESOLVED, "fixed_version": "0"}),
    },
}


def component(
    name: str, version: str, purl: str, origin: str = "", **more: object
) -> dict[str, Any]:
    """Return a component of a bill of materials."""
    said = [{"name": "contain-python:origin", "value": origin}] if origin else []
    row = {"type": "library", "name": name, "version": version, "properties": said, **more}
    return row | ({"purl": purl} if purl else {})


SSL = component(
    "libssl3",
    "3.0.13-1~deb12u1",
    "pkg:deb/debian/libssl3@3.0.13-1~deb12u1?arch=amd64&distro=debian-12&upstream=openssl",
    "linked",
)
EXPAT = component("expat", "2.6.2", "pkg:generic/expat@2.6.2", "vendored")
HACL = component("hacl-star", "bb3d0dc8d9d15a5cd51094d5b69e70aa09005ff0", "", "vendored")
PIP = component("pip", "25.1.1", "pkg:pypi/pip@25.1.1", "wheel")


def bill(*components: dict[str, Any], version: str = "3.13.5") -> dict[str, Any]:
    """Return a bill of materials as a build writes it."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "CPython",
                "version": version,
                "purl": f"pkg:generic/python@{version}",
                "cpe": f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*",
            }
        },
        "components": list(components),
    }


def put(path: Path, data: object) -> Path:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(path, json.dumps(data))


def upstream(changed: dict[str, bytes] | None = None) -> Answer:
    """Answer as the PSF, the CVE programme, Debian and OSV do, but for what is `changed`."""
    pages: dict[str, bytes] = {
        "/psf": database(
            psf("PSF-2025-8", TARFILE),
            psf("PSF-2023-8", HANDSHAKE, events=HANDSHAKE_EVENTS),
            psf("PSF-2023-1", URLPARSE),
        ),
        f"/cve/{TARFILE}": json.dumps(cve()).encode(),
        f"/cve/{HANDSHAKE}": json.dumps(mitre(HANDSHAKE)).encode(),
        f"/cve/{URLPARSE}": json.dumps(mitre(URLPARSE)).encode(),
        "/debian": json.dumps(TRACKER).encode(),
        "/osv": json.dumps({"vulns": [osv()]}).encode(),
        **(changed or {}),
    }

    def answer(handler: Handler) -> None:
        content = pages.get(handler.path)
        if content is None:
            handler.reply(404, {"Content-Length": "0"})
        else:
            handler.reply(200, {"Content-Length": str(len(content))}, content)

    return answer


def a_project(folder: Path, url: str, *, more: str = "") -> Path:
    """Make a recipe whose feeds are all at one server, and a lock; return the recipe."""
    write(
        folder / "releases.lock",
        'as_of = "2026-01-01"\n[series."3.13"]\nnewest = "3.13.11"\nend_of_life = "2029-10"\n'
        '[series."3.14"]\nnewest = "3.14.2"\nend_of_life = "2030-10"\n'
        '[[release]]\nversion = "3.13.5"\nfilename = "Python-3.13.5.tar.xz"\nsize = 1\n'
        f'sha256 = "{"0" * 64}"\ndate = "2025-06-11"\nverified = "unverified"\nproof = "made up"\n',
    )
    return write(
        folder / "contain.toml",
        f"[download]\nattempts = 1\n{more}\n[updates.feeds]\n"
        + "".join(f'{name} = "{url}/{name}"\n' for name in ("cve", "psf", "debian", "osv")),
    )
