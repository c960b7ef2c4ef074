"""What a comparison amounts to, beside its ratios of time."""

from __future__ import annotations

from statistics import geometric_mean

from contain_python.bench.model import Summary


def memory_ratios(summary: Summary) -> dict[str, dict[str, float]]:
    """Return of each kind what part of the reference's peak memory each takes, in the mean."""
    kinds = dict.fromkeys(row.kind for row in summary.rows if row.memory)
    return {
        kind: {
            one.name: geometric_mean(
                row.memory[one.name] / row.memory[summary.reference]
                for row in summary.rows
                if row.kind == kind and row.memory
            )
            for one in summary.contenders
        }
        for kind in kinds
    }
