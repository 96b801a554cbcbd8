"""What the site's builder does beside its pages: the plots of bench/, and links to files outside of docs/."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_PLOTS = "bench/results"
_TARGET = re.compile(r"""(\]\(|src="|srcset=")((?:\.\./)+[^)"\s]+)""")


def on_files(files: Files, *, config: Any) -> Files:
    """Adds the plots."""
    root = Path(config.config_file_path).parent
    for plot in sorted((root / _PLOTS).glob("*.svg")):
        files.append(File.generated(config, f"{_PLOTS}/{plot.name}", abs_src_path=str(plot)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: Any, files: Files) -> str:
    """Leads links that leave docs/ to the published source; where that has no address yet, they are text alone."""
    # The names of the reference are rendered by mkdocstrings here, and written out for those who read the file.
    markdown = re.sub(
        r"<!-- names: .*?<!-- end -->|<!-- What the site has instead:|^-->$", "", markdown, flags=re.S | re.M
    )
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))

    def lead(match: re.Match[str]) -> str:
        opening, target = match.groups()
        path = posixpath.normpath(posixpath.join(folder, target))
        if path.startswith("docs/"):
            return match[0]
        if path.startswith(f"{_PLOTS}/") and path.endswith(".svg"):
            return opening + posixpath.relpath(path, posixpath.dirname(page.file.src_uri) or ".")
        return f"{opening}{config.repo_url}/blob/main/{path}" if config.repo_url else f"{opening}#"

    markdown = _TARGET.sub(lead, markdown)
    return markdown if config.repo_url else re.sub(r"\[([^\]]+)\]\(#\)", r"\1", markdown)
