"""Let ``python -m conformance`` be the command line."""

from conformance.cli import main

if __name__ == "__main__":
    main()
