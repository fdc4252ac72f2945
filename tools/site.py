"""The pages as a site. `make site` builds it in build/site/html.

Pages lie in the site as they do in the clone, so links between them stay. A folder leads to its
README. A source file is not in the site: of a link to it only the text stays.
"""

import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "site"
LINK = re.compile(
    r"(?P<code>^```.*?^```$|`[^`\n]*`)"  # what looks like a link in here is none
    r"|(?P<image>!?)\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s]+)\)",
    re.DOTALL | re.MULTILINE,
)


def pages() -> Iterator[str]:
    """All pages, from the clone's root."""
    for pattern in ("*.md", "docs/*.md", "models/*.md", "examples/*/*.md"):
        yield from (path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob(pattern)))


def place(page: str) -> str:
    """Where a page lies in the site's sources: a README is its folder's first page."""
    return re.sub(r"README\.md$", "index.md", page)


def linked(page: str, text: str, known: set[str]) -> tuple[str, set[str]]:
    """A page's text with its links as the site has them, and the files in docs that it shows.

    Raises ValueError where one leads nowhere.
    """
    files = set()

    def link(found: re.Match[str]) -> str:
        target = found["target"]
        if found["code"] or re.match(r"https?:|#", target):
            return found[0]
        path, mark, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        if f"{path}/README.md" in known:
            path += "/README.md"
        if path in known:
            path = posixpath.relpath(place(path), posixpath.dirname(page) or ".")
            return f"[{found['text']}]({path}{mark}{anchor})"
        if not (ROOT / path).exists():
            raise ValueError(f"{page}: found a link to {target}, expected a file that is there")
        if path.startswith("docs/") and (ROOT / path).is_file():
            files.add(path)
            return found[0]
        return found["text"]

    return LINK.sub(link, text), files


def build(folder: Path) -> Path:
    """Builds the site in ``folder`` and returns where it begins.

    Raises ValueError where a link leads nowhere, RuntimeError where the builder warns of anything.
    """
    shutil.rmtree(folder, ignore_errors=True)
    known = set(pages())
    for page in known:
        text, files = linked(page, (ROOT / page).read_text(encoding="utf-8"), known)
        for name in {place(page), *files}:
            (folder / "pages" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pages" / place(page)).write_text(text, encoding="utf-8")
        for name in files:
            shutil.copy(ROOT / name, folder / "pages" / name)
    shutil.copy(ROOT / "zensical.toml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr))
    return folder / "html" / "index.html"


if __name__ == "__main__":
    try:
        print(build(SITE))
    except (ValueError, RuntimeError) as error:
        sys.exit(str(error))
