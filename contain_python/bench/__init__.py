"""Benchmarks: interpreters beside each other in one run."""
