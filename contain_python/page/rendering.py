"""Write the report: one HTML file that needs nothing else, least of all a network."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from contain_python.artifacts import describe
from contain_python.console import Console, duration
from contain_python.errors import UsageError
from contain_python.files import human_size, write_whole
from contain_python.findings import grouped
from contain_python.page.gathering import Told, gather
from contain_python.report import show_confinement


def write_report(  # noqa: PLR0913, PLR0917  what the command line names
    artifact: str, bench: str, previous: str, workspace: str, output: str, console: Console
) -> None:
    """Write the report of an artifact. Raises UsageError or CheckError."""
    if not artifact:
        raise UsageError("report needs an artifact", expected="invoke report dist/NAME.tar.zst")
    one = describe(Path(artifact))
    former = describe(Path(previous)) if previous else None
    with console.stage("report", 1, 1):
        show_confinement(console)
        told = gather(
            one, Path(bench) if bench else None, former, Path(workspace), console.progress
        )
        target = Path(output or f"{one.name}.html").resolve()
        write_whole(target, page(told))
    console.result("report", path=str(target))
    console.say(str(target))


def page(told: Told) -> str:
    """Return the page as HTML."""
    environment = Environment(
        loader=PackageLoader("contain_python", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    return template.render(told=told, size=human_size, duration=duration, grouped=grouped)
