"""Gathering findings for reading."""

from __future__ import annotations

from contain_python.findings import Maker, counted, grouped, listed


def test_grouped() -> None:
    """Findings that say the same are told once: a few places by name, the rest by number."""
    make = Maker(check="elf")
    alike = [make.error(f"lib/{n}.so", "bad", why=f"w{n}", remedy="mend") for n in range(6)]
    other = make.note("bin/x", "bad", why="w", remedy="mend")
    first, second = grouped([*alike, other])
    assert first.where == "lib/0.so, lib/1.so, lib/2.so and 3 more"
    assert (first.level, first.what, first.why) == ("error", "bad", "w0")
    assert second == other
    assert grouped(alike[:4])[0].where == "lib/0.so, lib/1.so, lib/2.so, lib/3.so"


def test_words() -> None:
    """Numbers come with the right noun, and long lists are cut with a count."""
    assert counted(1, "file") == "1 file"
    assert counted(2, "file") == "2 files"
    assert counted(0, "entry", "entries") == "0 entries"
    assert listed("abc") == "a, b, c"
    assert listed("abcd", most=2) == "a, b and 2 more"
