import sys

from sender.cli import main

if __name__ == "__main__":
    sys.exit(main())
