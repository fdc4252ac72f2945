"""The documentation as a site: every page is in it, looks as it does in the clone, and leads on."""

import re
import tomllib
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tools import site

COMMONMARK = MarkdownIt("commonmark").enable("table")
# What is easily lost where a list or a block of code is not seen as one.
ELEMENTS = ("h1", "h2", "h3", "ul", "ol", "li", "table", "tr", "td", "pre", "code", "img", "a")


def counted(html: str) -> dict[str, int]:
    return {name: len(re.findall(rf"<{name}[ >]", html)) for name in ELEMENTS}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The site; whatever its builder warns of, such as a link to no heading, is an error."""
    return site.build(tmp_path_factory.mktemp("site")).parent


@pytest.mark.parametrize("page", sorted(site.pages()))
def test_a_page_has_in_the_site_what_it_has_in_the_clone(built, page):
    text, _ = site.linked(page, (site.ROOT / page).read_text(), set(site.pages()))
    html = (built / site.place(page)).with_suffix(".html").read_text()
    (article,) = re.findall(r"<article.*?</article>", html, re.DOTALL)
    # Anchors that the site adds: of the page, of headings, of lines of code.
    article = re.sub(r'<a (class="headerlink"|id="__)[^>]*>', "", article)
    assert counted(article) == counted(COMMONMARK.render(text))


def test_the_site_shows_every_page_and_fetches_nothing(built):
    names = re.findall(r'"([\w/-]+\.md)"', (site.ROOT / "zensical.toml").read_text())
    assert sorted(names) == sorted(map(site.place, site.pages()))
    for page in built.rglob("*.html"):
        fetched = re.findall(r'<(?:script|img|link)\b[^>]*(?:src|href)="([^"]+)"', page.read_text())
        assert fetched
        for url in fetched:
            assert not url.startswith(("http", "//")), (page, url)
            if page.name != "404.html":  # its links begin at the site's root, wherever that is
                assert (page.parent / url.partition("#")[0]).exists(), (page, url)


def test_a_link_leads_to_a_page_or_a_picture_or_is_text(tmp_path):
    known = set(site.pages())
    text = (
        "[a](../models), [b](data.md#answers), [c](../train/tasks), [d](https://d.org), `[e](e)`\n"
        "```\n[f](f)\n```\n![g](report.png) [h](#h)"
    )
    assert site.linked("docs/x.md", text, known) == (
        "[a](../models/index.md), [b](data.md#answers), c, [d](https://d.org), `[e](e)`\n"
        "```\n[f](f)\n```\n![g](report.png) [h](#h)",
        {"docs/report.png"},
    )


@pytest.mark.parametrize(
    ("link", "error", "said"),
    [
        ("docs/b.md", ValueError, r"README\.md: found a link to docs/b\.md, expected a file"),
        ("docs/a.md#c", RuntimeError, r"anchor does not exist"),
    ],
)
def test_a_link_that_leads_nowhere_ends_the_build(tmp_path, monkeypatch, link, error, said):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(f"# r\n\n[x]({link})\n")
    (tmp_path / "docs/a.md").write_text("# a\n\n## b\n")
    config = tomllib.loads((site.ROOT / "zensical.toml").read_text())["project"]
    kept = (f'{name} = "{config[name]}"' for name in ("site_name", "docs_dir", "site_dir"))
    (tmp_path / "zensical.toml").write_text("\n".join(["[project]", *kept]))
    monkeypatch.setattr(site, "ROOT", tmp_path)
    with pytest.raises(error, match=said):
        site.build(tmp_path / "site")
