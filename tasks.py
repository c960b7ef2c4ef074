"""The tasks of this project, for `invoke`; what they do stands in contain_python/cli.py."""

import sys

from contain_python.cli import collection

namespace = collection(sys.argv)
