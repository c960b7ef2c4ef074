"""Writing releases.lock: one form, one order, nothing lost."""

from __future__ import annotations

import threading
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from values import a_release, write

from contain_python.errors import RecipeError
from contain_python.lock_file import change_lock, lock_text, with_release, with_series
from contain_python.releases import Lock, Series, parse_lock

ROOT = Path(__file__).parents[2]
SERIES = {"3.13": Series(newest="3.13.15", end_of_life="2029-10")}
LOCK = Lock(as_of="2026-01-02", series=SERIES, releases=())
TEXT = lock_text(with_release(LOCK, a_release()))
TWICE = TEXT + TEXT[TEXT.index("[[release]]") :]


def test_shipped_file_stays_as_it_is(tmp_path: Path) -> None:
    """The lock of this repository is in the one form: writing it changes nothing."""
    text = (ROOT / "releases.lock").read_text(encoding="utf-8")
    path = write(tmp_path / "releases.lock", text)
    assert not change_lock(path, lambda lock: lock)
    assert path.read_text(encoding="utf-8") == text


def test_order_does_not_matter() -> None:
    """Series and releases stand in the order of their versions, whatever came first."""
    one, two = a_release("3.13.9"), a_release("3.13.10")
    series = Series(newest="3.13.10", end_of_life="2029-10")
    first = with_series(with_release(with_release(LOCK, two), one), "3.13", series)
    second = with_release(with_release(with_series(LOCK, "3.13", series), one), two)
    assert lock_text(first) == lock_text(second)
    assert lock_text(first).index("3.13.9") < lock_text(first).index('version = "3.13.10"')


def test_it_can_be_read_again() -> None:
    """Quotes, backslashes and control characters in a proof survive."""
    odd = replace(a_release(), proof='by "A\\B"\n\x07 ü')
    text = lock_text(with_release(LOCK, odd), "# a comment\n\n")
    assert text.startswith("# a comment\n")
    assert parse_lock(tomllib.loads(text), "x").releases == (odd,)


def test_a_comment_stays_with_what_it_is_about(tmp_path: Path) -> None:
    """Comments above a series and above releases stay above them, wherever those move."""
    one, two = a_release("3.13.9"), a_release("3.13.10")
    before = lock_text(with_release(with_release(LOCK, one), two))
    first, second = (f'[[release]]\nversion = "{each.version}"' for each in (one, two))
    remarked = (
        before.replace('[series."3.13"]', '# ours until 2028\n[series."3.13"]')
        .replace(first, f"# old,\n# kept\n{first}")
        .replace(second, f"# new\n{second}")
    )
    path = write(tmp_path / "releases.lock", "# why\n\n" + remarked)
    assert not change_lock(path, lambda lock: lock)
    assert change_lock(path, lambda lock: with_release(lock, a_release("3.13.8")))
    text = path.read_text(encoding="utf-8")
    assert '# ours until 2028\n[series."3.13"]\n' in text
    assert '\n\n# old,\n# kept\n[[release]]\nversion = "3.13.9"\n' in text
    assert '\n\n# new\n[[release]]\nversion = "3.13.10"\n' in text
    assert text.count("#") == len(("why", "ours", "old", "kept", "new"))


def test_a_release_is_replaced(tmp_path: Path) -> None:
    """A version is there once; the others and the comment stay byte for byte."""
    path = write(
        tmp_path / "releases.lock", "# why\n\n" + lock_text(with_release(LOCK, a_release()))
    )
    better = replace(a_release(), verified="openpgp", proof="signed")
    assert change_lock(path, lambda lock: with_release(lock, better))
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# why\n\n")
    assert text.count("[[release]]") == 1
    assert 'verified = "openpgp"\nproof = "signed"\n' in text


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    """Whoever changes the file waits for the other one, and keeps what that one wrote."""
    path = write(tmp_path / "releases.lock", lock_text(LOCK))
    start = threading.Barrier(8)

    def add(number: int) -> None:
        start.wait()
        change_lock(path, lambda lock: with_release(lock, a_release(f"3.13.{number}")))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text(encoding="utf-8").count("[[release]]") == 8


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("as_of = ", "is not valid TOML"),
        (TEXT.replace("2026-01-02", "2026", 1), "malformed"),
        (TWICE, "twice"),
        (TEXT.replace(a_release().sha256, "xyz"), "64 lower-case"),
        (TEXT.replace('"unverified"', '"trusted"'), "verified"),
    ],
)
def test_corrupt_lock_is_not_touched(tmp_path: Path, text: str, told: str) -> None:
    """A corrupt file, a duplicate, a wrong hash, an unknown word: told, and left as it is."""
    path = write(tmp_path / "releases.lock", text)
    with pytest.raises(RecipeError) as caught:
        change_lock(path, lambda lock: lock)
    assert told in str(caught.value)
    assert path.read_text(encoding="utf-8") == text
