"""`python -m agfrun`."""

from agfrun.cli.main import entry_point

if __name__ == "__main__":
    entry_point()
