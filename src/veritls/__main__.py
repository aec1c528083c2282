"""``python -m veritls``: the same as the command ``veritls``."""

from veritls.cli import main

if __name__ == "__main__":
    main()
