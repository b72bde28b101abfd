"""``python -m mammogan``: the command line where no script of it is on the PATH."""

from mammogan.cli import main

if __name__ == "__main__":
    main()
