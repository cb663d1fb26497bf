"""`python -m hemlets_lib.cli`."""

from hemlets_lib.cli import main

if __name__ == "__main__":
    main()
