"""The report: one page on one artifact, to be looked at."""
