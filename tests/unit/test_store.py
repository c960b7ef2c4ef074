"""Stores: names that tell what a file was made from, and whether it is whole."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from values import names, write

from contain_python.errors import PackError
from contain_python.store import Entry, Store, entry_of, short

ENDING = ".thing.tar"
KEY = hashlib.sha256(b"key").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def a_store(folder: Path) -> Store:
    return Store(folder=folder / "store", ending=ENDING)


def test_what_is_put_is_found(tmp_path: Path) -> None:
    """A file is found by its key, and its name carries what, key and hash."""
    store, said = a_store(tmp_path), list[str]()
    put = store.put("python-3.13.15-linux", KEY, b"data")
    digest = hashlib.sha256(b"data").hexdigest()
    assert put.path.name == f"python-3.13.15-linux-{KEY[:16]}-{digest[:16]}{ENDING}"
    assert store.find(KEY, said.append) == put
    assert put.path.read_bytes() == b"data"
    assert store.find(OTHER, said.append) is None
    assert said == []


def test_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """Looking makes no directory."""
    assert a_store(tmp_path).entries() == []
    assert a_store(tmp_path).find(KEY, pytest.fail) is None
    assert names(tmp_path) == []


def test_found_file_counts_as_used(tmp_path: Path) -> None:
    """Finding a file makes it young, so that it is trimmed last."""
    store = a_store(tmp_path)
    put = store.put("a", KEY, b"data")
    os.utime(put.path, (1000, 1000))
    store.find(KEY, pytest.fail)
    assert put.path.stat().st_mtime > 1000


def test_damaged_file_is_set_aside(tmp_path: Path) -> None:
    """A file that is not what its name says is renamed, told, and not found again."""
    store, said = a_store(tmp_path), list[str]()
    put = store.put("a", KEY, b"data")
    put.path.write_bytes(b"dato")
    assert store.find(KEY, said.append) is None
    assert names(store.folder) == [f"{put.path.name}.bad"]
    (line,) = said
    assert line.startswith(f"{put.path.name} is damaged (its SHA-256 is ")
    assert store.find(KEY, pytest.fail) is None


def test_whole_file_is_found_beside_a_damaged_one(tmp_path: Path) -> None:
    """Two files of one key: the damaged one does not hide the other."""
    store, said = a_store(tmp_path), list[str]()
    first, second = store.put("a", KEY, b"1"), store.put("a", KEY, b"2")
    first.path.write_bytes(b"x")
    assert store.find(KEY, said.append) == second
    assert second in store.entries_for(KEY)


def test_file_that_vanishes_is_no_damage(tmp_path: Path) -> None:
    """Another process may set a damaged file aside first."""
    store = a_store(tmp_path)
    put = store.put("a", KEY, b"data")
    put.path.unlink()
    assert put.damage() == "No such file or directory"
    store.set_aside(put, "gone", pytest.fail)


def test_discard(tmp_path: Path) -> None:
    """Files that others took the place of go, and may be gone already."""
    store = a_store(tmp_path)
    entries = [store.put("a", KEY, b"1"), store.put("a", KEY, b"2")]
    store.discard(entries[:1])
    store.discard(entries[:1])
    assert store.entries() == entries[1:]


@pytest.mark.parametrize(
    "name",
    [
        "README",
        f"a{ENDING}",
        f"a-{KEY[:16]}{ENDING}",
        f"a-{KEY[:15]}-{KEY[:16]}{ENDING}",
        f"a-{KEY[:16].upper()}-{KEY[:16]}{ENDING}",
        f"-{KEY[:16]}-{KEY[:16]}{ENDING}",
        f"a-{KEY[:16]}-{KEY[:16]}.other",
        f"a-{KEY[:16]}-{KEY[:16]}",
        f"a-{KEY[:16]}-{KEY[:16]}{ENDING}.bad",
    ],
)
def test_other_names_are_no_entries(tmp_path: Path, name: str) -> None:
    """What has not a store's name is not taken for one of its files."""
    assert entry_of(tmp_path / name, ENDING) is None
    write(tmp_path / "store" / name)
    assert a_store(tmp_path).entries() == []


def test_name_of_an_entry(tmp_path: Path) -> None:
    """What stands before the key may hold hyphens itself."""
    path = tmp_path / f"python-3-x-{KEY[:16]}-{OTHER[:16]}{ENDING}"
    assert entry_of(path, ENDING) == Entry(path=path, key=short(KEY), hash=short(OTHER))


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A disk that refuses is told with its path, on writing and on holding."""
    write(tmp_path / "store")
    for act in (
        lambda: a_store(tmp_path).put("a", KEY, b"1"),
        lambda: a_store(tmp_path).held(KEY, pytest.fail).__enter__(),
    ):
        with pytest.raises(PackError) as caught:
            act()
        assert str(tmp_path / "store") in caught.value.what


# --- holding a key ------------------------------------------------------------------------------


def test_second_holder_waits(tmp_path: Path) -> None:
    """Who wants a key that another holds is told so, and goes on once it is free."""
    store, waited, order = a_store(tmp_path), threading.Event(), list[str]()

    def second() -> None:
        with store.held(KEY, waited.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with store.held(KEY, pytest.fail):
        thread.start()
        assert waited.wait(120)
        order.append("first")
    thread.join(120)
    assert order == ["first", "second"]


def test_keys_do_not_hold_each_other(tmp_path: Path) -> None:
    """Who wants another key does not wait."""
    store = a_store(tmp_path)
    with store.held(KEY, pytest.fail), store.held(OTHER, pytest.fail):
        pass


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """A process that is killed while it holds a key blocks nobody."""
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom contain_python.store import Store\n"
        f"store = Store(folder=Path(sys.argv[1]), ending={ENDING!r})\n"
        f"with store.held({KEY!r}, lambda: None):\n    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    store, waited = a_store(tmp_path), list[bool]()
    argv = [sys.executable, "-c", script, str(store.folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        holder.kill()
    with store.held(KEY, lambda: waited.append(True)):
        pass
    assert waited == []
