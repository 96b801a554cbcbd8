"""The entry of the command, which says what is missing where its packages are not installed."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of this process."""
    try:
        from .app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print("the command aiomemdb needs more packages: pip install 'aiomemdb[cli]'", file=sys.stderr)
        sys.exit(2)
    app()
