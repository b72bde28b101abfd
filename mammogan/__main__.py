"""The command line: ``mammogan``, and ``python -m mammogan`` where no script of it is on the PATH."""

from mammogan import interruption


def main() -> None:
    """Load and run the command line; Ctrl-C is answered from the start."""
    with interruption.quietly():
        from mammogan import cli

        cli.main()


if __name__ == "__main__":
    main()
