"""An image's digest: asked of a registry, with a token where it wants one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from servers import Handler, Server, serving, status

from contain_python.errors import SourceError, UsageError
from contain_python.recipe import Download
from contain_python.registry import Reference, digest_now, parse_reference

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
LIMITS = Download(idle_seconds=5)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (
            f"debian:bookworm-slim@{OLD}",
            "https://registry-1.docker.io/v2/library/debian/manifests/bookworm-slim",
        ),
        (f"myorg/base:1@{OLD}", "https://registry-1.docker.io/v2/myorg/base/manifests/1"),
        (f"ghcr.io/myorg/base:1@{OLD}", "https://ghcr.io/v2/myorg/base/manifests/1"),
        (f"localhost:5000/base:1@{OLD}", "http://localhost:5000/v2/base/manifests/1"),
    ],
)
def test_where_it_is_asked(text: str, url: str) -> None:
    """A name without a host is Docker Hub's, and an official one in its library there."""
    assert parse_reference(text).url == url


@pytest.mark.parametrize("text", ["", "debian", "debian:x", f"debian@{OLD}", "debian:x@sha256:1"])
def test_no_reference(text: str) -> None:
    """Both tag and digest are wanted."""
    with pytest.raises(UsageError, match="is no image by tag and digest"):
        parse_reference(text)


def at(server: Server) -> Reference:
    host = server.url.removeprefix("http://")
    return Reference(host=host, path="myorg/base", tag="1", digest=OLD)


def registry(token: str) -> Callable[[Handler], None]:
    """Answer as a registry that gives out a token, and wants it if there is one."""

    def answer(handler: Handler) -> None:
        host = handler.headers["Host"]
        if handler.path.startswith("/token"):
            assert "service=test" in handler.path
            assert "scope=repository%3Amyorg%2Fbase%3Apull" in handler.path
            handler.reply(200, {}, b'{"token": "t0ken"}')
        elif token and handler.headers.get("Authorization") != f"Bearer {token}":
            challenge = (
                f'Bearer realm="http://{host}/token",service="test",'
                'scope="repository:myorg/base:pull"'
            )
            handler.reply(401, {"WWW-Authenticate": challenge})
        else:
            assert "oci.image.index" in handler.headers["Accept"]
            handler.reply(200, {"Docker-Content-Digest": NEW})

    return answer


@pytest.mark.parametrize("token", ["", "t0ken"])
def test_digest(token: str) -> None:
    """With or without a token the digest of the tag is told."""
    with serving(registry(token)) as server:
        assert digest_now(at(server), LIMITS) == NEW


def test_refusals() -> None:
    """A registry that does not know it, wants a password, or tells no digest is told."""
    for answer in (status(404), status(200), registry("another token")):
        with (
            serving(answer) as server,
            pytest.raises(SourceError, match="does not tell the digest"),
        ):
            digest_now(at(server), LIMITS)
