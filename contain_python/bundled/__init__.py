"""Libraries that are compiled from locked sources and linked into the interpreter."""
