"""Fails if a public name of the package has a type that is not known: pyright --verifytypes, and one exception.

An adapter derives from a class of its framework. Where the framework is not installed, as in most environments, that
class is unknown; all else of the adapter must be known there too.
"""

from __future__ import annotations

import json
import subprocess
import sys

_OF_FRAMEWORKS = "aiomemdb.integrations."
_UNKNOWN_BASES = ("Type of base class unknown", "Type of metaclass unknown")


def main() -> int:
    command = ["pyright", "--verifytypes", "aiomemdb", "--ignoreexternal", "--outputjson"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        symbols = json.loads(ran.stdout)["typeCompleteness"]["symbols"]
    except (ValueError, KeyError):
        print(ran.stdout, ran.stderr, file=sys.stderr)
        return 1
    exported = [symbol for symbol in symbols if symbol["isExported"]]
    unknown = []
    for symbol in exported:
        messages = [one["message"].strip() for one in symbol.get("diagnostics", ()) if one["severity"] == "error"]
        if symbol["name"].startswith(_OF_FRAMEWORKS):
            messages = [message for message in messages if not message.startswith(_UNKNOWN_BASES)]
            known = not messages
        else:
            known = symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]
        if not known:
            unknown.append((symbol["name"], messages))
    for name, messages in unknown:
        print(name, *messages, sep="\n    ")
    print(f"types: {len(exported)} public names, {len(unknown)} of them not known")
    return 1 if unknown or not exported else 0


if __name__ == "__main__":
    sys.exit(main())
