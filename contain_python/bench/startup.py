"""How long an interpreter takes to start, and to import what most programs import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contain_python.bench.model import Contender, Kind
from contain_python.spawning import peak_memory, seconds

#: How often each is started in one round.
STARTS = 10

#: A container's file system is read-only: what has no byte-code is compiled at every start.
_ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}


@dataclass(frozen=True, kw_only=True)
class Start:
    """A way to start an interpreter, under its name."""

    name: str
    kind: Kind
    options: tuple[str, ...]
    code: str

    def measure(self, contender: Contender) -> dict[str, list[Any]]:
        """Return the runs of one round, by the name under which they are reported."""
        import pyperf  # noqa: PLC0415  it is there only with the extra "bench"

        environment = {**_ENVIRONMENT, **dict(contender.environment)}
        # -I hears no variable, and would leave byte-code behind for those that come after.
        options = ("-B", *self.options)
        python = contender.executable
        memory = peak_memory(python, options, self.code, environment, contender.needs)
        argv = [str(python), *options, "-c", self.code]
        (found,) = seconds([argv], STARTS, environment, contender.needs)
        metadata = {"name": self.name, "mem_max_rss": memory, "unit": "second"}
        runs = [pyperf.Run([spent], metadata=metadata, collect_metadata=False) for spent in found]
        return {self.name: runs}


def starts(modules: Sequence[str]) -> tuple[Start, ...]:
    """Return every way to start that is measured; `modules` are imported one by one."""
    return (
        Start(name="-c pass", kind="start-up", options=(), code="pass"),
        Start(name="-I -S -c pass", kind="start-up", options=("-I", "-S"), code="pass"),
        *(
            Start(name=f"import {module}", kind="import", options=(), code=f"import {module}")
            for module in modules
        ),
    )


MODULES = ("asyncio", "json", "ssl", "http.client", "dataclasses", "typing")
