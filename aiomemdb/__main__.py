"""``python -m aiomemdb``: the command."""

from .cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
