"""Where a flavour keeps its bill of materials."""

from __future__ import annotations

#: Below the prefix; scanners look at files whose names end in .cdx.json.
PLACE = "share/sbom"
