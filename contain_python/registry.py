"""Ask an image registry for the digest that a tag has now (OCI distribution specification)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode

import requests

from contain_python import __version__
from contain_python.errors import SourceError, UsageError
from contain_python.fetching import root_cause
from contain_python.recipe import Download

_DEFAULT = "registry-1.docker.io"
_REFERENCE = re.compile(
    r"(?:(?P<host>[A-Za-z0-9.-]+(?:\.[A-Za-z0-9.-]+|:\d+)(?::\d+)?|localhost(?::\d+)?)/)?"
    r"(?P<path>[a-z0-9][a-z0-9._/-]*):(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]*)"
    r"@(?P<digest>sha256:[0-9a-f]{64})"
)
_KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An image by tag and digest: "debian:bookworm-slim@sha256:…"."""

    host: str
    path: str
    tag: str
    digest: str

    @property
    def url(self) -> str:
        """Return where the registry has the manifest of the tag."""
        scheme = "http" if self.host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
        return f"{scheme}://{self.host}/v2/{self.path}/manifests/{self.tag}"


def parse_reference(text: str) -> Reference:
    """Return the parts of an image's name. Raises UsageError."""
    match = _REFERENCE.fullmatch(text)
    if not match:
        raise UsageError(
            f"{text!r} is no image by tag and digest",
            expected="NAME:TAG@sha256:…, as debian:bookworm-slim@sha256:…",
            remedy="mend bases under [updates] in the recipe",
        )
    host, path = match["host"] or _DEFAULT, match["path"]
    host = _DEFAULT if host == "docker.io" else host
    official = host == _DEFAULT and "/" not in path
    return Reference(
        host=host,
        path=f"library/{path}" if official else path,
        tag=match["tag"],
        digest=match["digest"],
    )


def digest_now(reference: Reference, limits: Download) -> str:
    """Return the digest that the tag has in its registry. Raises SourceError."""
    headers = {"Accept": ", ".join(_KINDS), "User-Agent": f"contain-python/{__version__}"}
    try:
        with requests.Session() as session:
            session.headers.update(headers)
            answer = session.head(reference.url, timeout=limits.idle_seconds, allow_redirects=True)
            if answer.status_code == requests.codes.unauthorized:
                token = _token(session, answer.headers.get("WWW-Authenticate", ""), limits)
                session.headers["Authorization"] = f"Bearer {token}"
                answer = session.head(
                    reference.url, timeout=limits.idle_seconds, allow_redirects=True
                )
            answer.raise_for_status()
            return str(answer.headers["Docker-Content-Digest"])
    except (requests.RequestException, KeyError, ValueError) as problem:
        raise SourceError(
            f"{reference.host} does not tell the digest of {reference.path}:{reference.tag}",
            found=root_cause(problem),
            remedy="see that the image is there and can be read without a password",
        ) from problem


def _token(session: requests.Session, challenge: str, limits: Download) -> str:
    """Return a token for anonymous reading, as the registry's challenge says how to get one."""
    words = dict(_CHALLENGE.findall(challenge))
    query = urlencode({key: words[key] for key in ("service", "scope") if key in words})
    answer = session.get(f"{words['realm']}?{query}", timeout=limits.idle_seconds)
    answer.raise_for_status()
    data = answer.json()
    return str(data.get("token") or data["access_token"])
