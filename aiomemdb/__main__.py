"""``python -m aiomemdb``: the command."""

from .cli import main

main()
