"""Follow make's own output, to say how far it is; kept apart from what shapes the result."""

from __future__ import annotations

import re
from typing import Literal

from contain_python.model import Progress

Kind = Literal["train", "train-make", "train-bolt", "plain", "lto", "bootstrap-lto"]
Pass = Literal["bootstrapping", "instrumenting", "training", "compiling", "linking", "counting"]

#: Objects that one pass compiles (measured: 3.13 357, 3.14 383).
_OBJECTS = 370

#: Those of them that the program which freezes modules is linked from (measured: 3.14 187).
_BOOTSTRAP_OBJECTS = 185

#: The share of make's time that each pass takes ("train" and "lto" measured on 2 cores with gcc
#: 12 and 3.14.7, "train-make" and "train-bolt" put together from them; LTO does most of its work
#: when it links the interpreter, and prints nothing meanwhile).
_SHARES: dict[Kind, dict[Pass, float]] = {
    "train": {"instrumenting": 0.58, "training": 0.42},
    "train-make": {"instrumenting": 0.26, "training": 0.19, "compiling": 0.24, "linking": 0.31},
    "train-bolt": {
        "instrumenting": 0.18,
        "training": 0.13,
        "bootstrapping": 0.06,
        "compiling": 0.15,
        "linking": 0.18,
        "counting": 0.30,
    },
    "plain": {"compiling": 0.97, "linking": 0.03},
    "lto": {"compiling": 0.46, "linking": 0.54},
    "bootstrap-lto": {"bootstrapping": 0.16, "compiling": 0.44, "linking": 0.40},
}

_COMPILE = re.compile(r"^(?:zig )?\S*(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+)\S* .*-c .*")
_BOOTSTRAP = re.compile(r"^\S+ .*-o _bootstrap_python ")
_LINK = re.compile(r"^\S+ .*-o python Programs/python\.o")
_TRAINED = re.compile(r"\d+:\d\d:\d\d .*\[ *(\d+)/(\d+)[\]/]")


class Passes:
    """Follows make's output through its passes and says how far it is."""

    def __init__(self, kind: Kind) -> None:
        """Begin with the first pass of training, or of compiling with LTO or without."""
        self._shares = _SHARES[kind]
        self.name: Pass = next(iter(self._shares))
        self.objects = 0
        self.trained = 0.0

    def see(self, line: str) -> bool:
        """Take one line of make's output; return whether it moved the progress."""
        if match := _TRAINED.match(line):
            # make announces the training long before it begins: the first test is the sign.
            self._train(int(match[1]) / int(match[2]))
        elif self.name == "training" and "compiling" in self._shares and _COMPILE.match(line):
            boots = "bootstrapping" in self._shares
            self.name, self.objects = ("bootstrapping" if boots else "compiling"), 1
        elif self.name == "bootstrapping" and _BOOTSTRAP.match(line):
            self.name, self.objects = "compiling", 0
        elif self.name == "compiling" and _LINK.match(line):
            self.name = "linking"
        elif _COMPILE.match(line):
            self.objects += 1
        else:
            return False
        return True

    def _train(self, fraction: float) -> None:
        if self.name == "instrumenting":
            self.name = "training"
        elif self.name == "linking" and "counting" in self._shares:
            self.name = "counting"
        if self.name in ("training", "counting"):
            self.trained = fraction

    def progress(self) -> Progress:
        """Return how far make is."""
        before = 0.0
        for name, share in self._shares.items():
            if name == self.name:
                break
            before += share
        objects = _BOOTSTRAP_OBJECTS if self.name == "bootstrapping" else _OBJECTS
        compiled = min(self.objects / objects, 1.0)
        parts = {"training": self.trained, "linking": 0.0, "counting": self.trained}
        within = parts.get(self.name, compiled)
        number, total = list(self._shares).index(self.name) + 1, len(self._shares)
        return Progress(
            fraction=min(before + within * share, 0.99),
            doing=f"{self.name} ({number} of {total}): {self._told()}",
        )

    def _told(self) -> str:
        if self.name in ("training", "counting"):
            return f"{self.trained:.0%} of the tests run"
        if self.name == "linking":
            return "the interpreter"
        return f"{self.objects} files"
