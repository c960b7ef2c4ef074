"""Find releases of CPython, verify their sources, and pin them."""
