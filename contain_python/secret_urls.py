"""Addresses may hold secrets: user names, passwords, tokens. Whatever is told goes without them.

No parser is asked: an address that none understands has its password all the same. Which values of
a query are secret, only its server knows; so none is told.
"""

from __future__ import annotations

import re
from typing import Any

_SCHEME = r"(?:[A-Za-z][A-Za-z0-9+.-]*:[/\\]{2,}|\b(?:https?|ftp):[/\\]?)"
_REST = r'[^\s"<>]*'
#: Where a host and perhaps a port have come to their end.
_END = r"(?=[/\\?#\s\"<>'`),;\]}]|[.:](?:\s|$)|$)"
_HOST = rf"(?:[\w.${{}}*%-]*|\[[\w:.%]*\])(?::\d*)?{_END}"
#: What stands before a host, as RFC 3986 has it, or before an "@" further on where no host is.
_USER = re.compile(rf"(?P<before>{_SCHEME})(?:[^\s/\\?#\"<>]*@|(?!{_HOST}){_REST}@)")
#: "https://me:password", without a host.
_NO_HOST = re.compile(rf"(?P<before>{_SCHEME}(?!{_HOST})[\w.%+~-]+:)[^\s\"<>]+")
#: The second is how HTTP clients name what they asked a server for.
_QUERY = re.compile(
    rf"(?P<before>(?:{_SCHEME}|\burl: /)[^\s\"<>?#]*\?)"
    r"[^\s\"<>#]+?(?P<after>['`),.;:\]]*(?:[\s\"<>#]|$))"
)
_HIDDEN = "***"


def masked(text: str) -> str:
    """Return a text, such as a message or a line of a log, with no secret in its addresses."""
    if ":" not in text:
        return text
    text = _USER.sub(r"\g<before>", text)
    text = _NO_HOST.sub(rf"\g<before>{_HIDDEN}", text)
    return _QUERY.sub(rf"\g<before>{_HIDDEN}\g<after>", text)


def without_secrets(url: str) -> str:
    """Return an address as it may be told and recorded."""
    # A text would end at a space in it.
    whole = re.sub(r"[\s\"<>]", "%20", url.strip())
    told = masked(whole)
    return url if told == whole else told


def has_secrets(text: str) -> bool:
    """Return whether a text has an address that may not be told whole."""
    return masked(text) != text


def masked_of(url: str, text: str) -> str:
    """Return what a library said of an address, which it may quote in part."""
    found = [match[0][len(match["before"]) :] for match in _USER.finditer(url)]
    found += [match[0][len(match["before"]) :] for match in _QUERY.finditer(url)]
    for part in (one for one in found if one.strip("@")):
        text = text.replace(part, _HIDDEN).replace(part.rstrip("@"), _HIDDEN)
    return masked(text)


def masked_in(value: Any) -> Any:  # noqa: ANN401  JSON data has no narrower type
    """Return JSON data of which every text is masked."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {key: masked_in(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked_in(item) for item in value]
    return value
