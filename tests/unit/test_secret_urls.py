"""Addresses are told without their secrets, also those that no parser takes."""

from __future__ import annotations

import json

import pytest

from contain_python.console import Console
from contain_python.errors import SourceError
from contain_python.secret_urls import has_secrets, masked, masked_of, without_secrets

SECRET = "hunter2"  # noqa: S105  it opens nothing

PLANTED = [
    f"https://me:{SECRET}@host.test/p",
    f"https://{SECRET}@host.test:8443/p",
    f"http://[me:{SECRET}@host.test",
    f"https://me:{SECRET}@[::1/p",
    f"https://me:pa#{SECRET}@host.test/p",
    f"https://me:pa/{SECRET}@host.test/p",
    f"https://me:pa?{SECRET}@host.test/p",
    f"https://me:pa@{SECRET}@host.test/p",
    f"https://me:{SECRET}",
    f"https:/me:{SECRET}@host.test/",
    f"https:me:{SECRET}@host.test/",
    f"git+https://me:{SECRET}@host.test/x@v1",
    f"HTTPS://host.test/p?X-Amz-Signature={SECRET}",
    f"https://host.test/p?a=b&token={SECRET}#sha256=00",
    f"https://host.test/?{SECRET}",
    f"file://me:{SECRET}@host.test/p?key={SECRET}",
]


@pytest.mark.parametrize("url", PLANTED)
def test_no_secret_is_told(url: str) -> None:
    """Neither alone, nor within a text, quoted, twice, or in JSON."""
    for text in (url, f"from '{url}', failed", f"{url} {url}", json.dumps([url, url])):
        assert SECRET not in masked(text), text
        assert has_secrets(text)
    assert SECRET not in without_secrets(url)
    assert masked(masked(url)) == masked(url)


def test_spaces_are_part_of_an_address() -> None:
    """An address with a space is still one."""
    url = f'https://me:pa ss"{SECRET}@host.test/p'
    assert without_secrets(url) == "https://host.test/p"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://www.python.org/ftp/python",
        "http://127.0.0.1:8000: refused",
        "http://127.0.0.1:8000, and https://[::1]:443/x.",
        "https://example.org/simple/x.whl#sha256=00",
        "x @ git+https://example.org/x@v1",
        "https://example.org/@scope/x",
        "pkg:deb/debian/x@1.0?arch=amd64",
        "debian:bookworm@sha256:00",
        "a.c:12: error: x@GLIBC_2.3 ? y : z",
        "an http or https URL, a file: URL, or apt:",
        "http: //x",
        "file:///a/b:c@d",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Hosts, ports, paths, hashes and everything that is no address."""
    assert masked(text) == text
    assert not has_secrets(text)


def test_remains() -> None:
    """Host, path and the hash in a fragment are told."""
    url = f"https://me:{SECRET}@host.test/p?a={SECRET}#sha256=00"
    assert masked(url) == "https://host.test/p?***#sha256=00"


def test_quoted_in_part() -> None:
    """What a library says of an address, without its scheme, is told without the secret."""
    url = f"https://me:{SECRET}@host.test/p?token={SECRET}"
    assert SECRET not in masked_of(url, f"Failed to parse: me:{SECRET}@host.test, label empty")
    assert SECRET not in masked(f"with url: /p?token={SECRET} (Caused by x)")
    assert SECRET not in masked_of(url, f"no /p?token={SECRET} there")


def test_nothing_that_speaks_tells(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors, notes, results: as text and as JSON."""
    url = PLANTED[0]
    problem = SourceError(url, expected=url, found=url, remedy=url)
    assert SECRET not in f"{problem} {problem.as_dict()} {problem.args}"
    for console in (Console(), Console(as_json=True)):
        console.say(url)
        console.note(url)
        console.warn(url)
        console.result("x", one=[url], two={"url": url})
        console.error(problem)
    said = capsys.readouterr()
    assert "host.test" in said.out
    assert SECRET not in said.out + said.err
