"""Known vulnerabilities: read from several databases' formats, judged, and told."""
