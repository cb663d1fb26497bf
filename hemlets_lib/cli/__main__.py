"""`python -m hemlets_lib.cli`."""

from hemlets_lib.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
