"""One tree of errors; each class carries its documented exit code (docs/exit-codes.md)."""

from __future__ import annotations

from contain_python.secret_urls import masked


class ContainError(Exception):
    """A failure a person can act on: what happened, what was expected, what was found, what to do.

    `expected`, `found` and `remedy` may be empty where they would only repeat `what`.
    """

    exit_code = 1

    def __init__(self, what: str, *, expected: str = "", found: str = "", remedy: str = "") -> None:
        """Keep the four parts apart, so that text and JSON can each show them their own way.

        What they quote may be an address: none keeps a secret of it.
        """
        super().__init__(masked(what))
        self.what = masked(what)
        self.expected = masked(expected)
        self.found = masked(found)
        self.remedy = masked(remedy)

    def __str__(self) -> str:
        """Return the message as a person reads it, one part a line."""
        parts = (("expected", self.expected), ("found", self.found), ("to do", self.remedy))
        lines = [self.what]
        for label, text in parts:
            if text:
                lines.append(f"  {label + ':':<10}{text}".replace("\n", "\n" + " " * 12))
        return "\n".join(lines)

    def as_dict(self) -> dict[str, str | int]:
        """Return the parts as JSON-ready data."""
        return {
            "error": type(self).__name__,
            "exit_code": self.exit_code,
            "what": self.what,
            "expected": self.expected,
            "found": self.found,
            "remedy": self.remedy,
        }


class UsageError(ContainError):
    """The command line or the recipe asks for something that cannot be."""

    exit_code = 2


class RecipeError(UsageError):
    """`contain.toml` or `releases.lock` is not valid."""


class BusyError(UsageError):
    """Another build is using the workspace."""


class SourceError(ContainError):
    """The source, or the verification of the source, failed."""

    exit_code = 3


class ToolchainError(ContainError):
    """A compiler, a header or a tool that the build needs is missing."""

    exit_code = 4


class EngineError(ToolchainError):
    """There is no container engine that works, or it refused."""


def without_package(what: str, package: str, found: str) -> ToolchainError:
    """Return what to raise where a Python package is missing that only some commands need."""
    return ToolchainError(
        what,
        expected=f"the Python package {package}",
        found=found,
        remedy="run ./bootstrap invoke in place of invoke: it installs all that is pinned",
    )


class CompileError(ContainError):
    """configure, make or install failed, or gave less than was asked."""

    exit_code = 5


class CheckError(ContainError):
    """A check of the finished Python failed."""

    exit_code = 6


class PackError(ContainError):
    """The disk is full or not writable, or a file could not be packed."""

    exit_code = 7


class InterruptedBuild(ContainError):  # noqa: N818  not a fault of the build's
    """The user, or a signal, ended the command."""

    exit_code = 130
