"""``python -m veritls``: the same as the command ``veritls``, and ``run``, which needs nothing installed."""

import sys

from veritls.cli import main

if __name__ == "__main__":
    main(sys.argv[1:])
