"""Wheels and virtual environments: pip, build and auditwheel do the work, here is the order."""
