"""The bill of materials of an artifact: what is in it, and what it is linked with."""
