"""Build CPython from source for containers: verified, relocatable, reproducible."""

__version__ = "0.1.0"
