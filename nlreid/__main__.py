"""`python -m nlreid`: the command line."""

from nlreid.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
