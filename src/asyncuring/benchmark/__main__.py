"""``python -m asyncuring.benchmark``."""

import sys

from asyncuring.benchmark.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
