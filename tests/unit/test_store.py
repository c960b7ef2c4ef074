"""Stores: names that carry keys and hashes, damage, and who waits for whom."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from contain_python.errors import PackError
from contain_python.store import Store, entry_of

KEY = "12ab" * 16


def a_store(folder: Path) -> Store:
    return Store(folder=folder / "store", ending=".x.tar")


def test_put_and_find(tmp_path: Path) -> None:
    """What was put for a key is found by it, under a name with key and hash."""
    store, notes = a_store(tmp_path), list[str]()
    assert store.find(KEY, notes.append) is None
    entry = store.put("thing-1.0", KEY, b"data")
    assert entry.path.name == f"thing-1.0-{KEY[:16]}-3a6eb0790f39ac87.x.tar"
    assert store.find(KEY, notes.append) == entry
    assert store.find("f" * 64, notes.append) is None
    assert notes == []


def test_damage_is_set_aside(tmp_path: Path) -> None:
    """A file that has not its hash is renamed and told, and is not found again."""
    store, notes = a_store(tmp_path), list[str]()
    entry = store.put("thing", KEY, b"data")
    entry.path.write_bytes(b"dota")
    assert "SHA-256" in entry.damage()
    assert store.find(KEY, notes.append) is None
    assert len(notes) == 1
    assert entry.path.with_name(f"{entry.path.name}.bad").read_bytes() == b"dota"
    assert store.find(KEY, notes.append) is None
    assert len(notes) == 1


@pytest.mark.parametrize("name", ["x.tar", "a-12-34.x.tar", "a.x.tar", f"a-{KEY[:16]}.x.tar"])
def test_other_names(tmp_path: Path, name: str) -> None:
    """A file whose name has another form is none of the store's."""
    store = a_store(tmp_path)
    store.folder.mkdir()
    (store.folder / name).touch()
    assert store.entries() == []
    assert entry_of(store.folder / name, ".x.tar") is None


def test_second_waits_for_the_first(tmp_path: Path) -> None:
    """Who wants a key that is held is told, waits, and then finds what the first made."""
    store, waits = a_store(tmp_path), threading.Event()
    found: list[bool] = []

    def second() -> None:
        with store.held(KEY, waits.set):
            found.append(store.find(KEY, lambda _: None) is not None)

    with store.held(KEY, lambda: None):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(20)
        store.put("thing", KEY, b"data")
    thread.join(20)
    assert found == [True]


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A store below a file is told as a problem of the disk, with what to do."""
    (tmp_path / "store").touch()
    store = a_store(tmp_path)
    with pytest.raises(PackError, match="cannot write"):
        store.put("thing", KEY, b"data")
    with pytest.raises(PackError, match="cannot write"), store.held(KEY, lambda: None):
        pass


def test_discard(tmp_path: Path) -> None:
    """Entries that were replaced are removed; those gone already do not matter."""
    store = a_store(tmp_path)
    old, new = store.put("thing", KEY, b"old"), store.put("thing", KEY, b"new")
    assert set(store.entries_for(KEY)) == {old, new}
    store.discard([old, old])
    assert store.entries_for(KEY) == [new]
