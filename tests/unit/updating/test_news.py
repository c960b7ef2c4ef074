"""Security entries of CPython's news: of the right releases, whole, with their CVEs."""

from __future__ import annotations

from contain_python.updating.news import security

NEWS = """\
+++++++++++
Python News
+++++++++++

What's New in Python 3.14.7 final?
==================================

*Release date: 2026-08-05*

Security
--------

- gh-151558: Fixed an vulnerability in the :mod:`tarfile` ``data`` and
  ``tar`` filters.  This was a bypass of
  :cve:`2025-4330`.

- gh-152216: Update bundled `libexpat <https://libexpat.github.io/>`_ to
  version 2.8.2 for CVE-2026-45186.

Library
-------

- gh-1: Not security.

What's New in Python 3.14.6 final?
==================================

Security
--------

- bpo-2: :meth:`~xml.Element.find` is mended.

What's New in Python 3.14.6 release candidate 1?
================================================

Security
--------

- gh-3: Early.
"""


def test_between_two_releases() -> None:
    """Only what came after the one and until the other, newest first."""
    found = security(NEWS, "3.14.6", "3.14.7")
    assert [(one.version, one.issue) for one in found] == [
        ("3.14.7", "gh-151558"),
        ("3.14.7", "gh-152216"),
    ]
    assert [one.issue for one in security(NEWS, "3.14.5", "3.14.6")] == ["bpo-2", "gh-3"]
    assert [one.issue for one in security(NEWS, "3.14.6rc1", "3.14.6")] == ["bpo-2"]
    assert security(NEWS, "3.14.7", "3.14.7") == ()


def test_text_and_names() -> None:
    """Markup goes, lines are joined, and each CVE is named in either spelling."""
    first, second = security(NEWS, "3.14.6", "3.14.7")
    assert first.cves == ("CVE-2025-4330",)
    assert first.text == (
        "Fixed an vulnerability in the tarfile data and tar filters.  This was a bypass of"
        " CVE-2025-4330."
    )
    assert second.cves == ("CVE-2026-45186",)
    assert second.text.startswith("Update bundled libexpat to version 2.8.2")
    assert security(NEWS, "3.14.5", "3.14.6")[0].text == "xml.Element.find is mended."


def test_no_news() -> None:
    """A source without news tells nothing."""
    assert security("", "3.14.6", "3.14.7") == ()
