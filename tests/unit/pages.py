"""What a browser would make of a page: its tags, what it loads, its links, and its words."""

import re
from html.parser import HTMLParser

_VOID = {"meta", "wbr", "br", "img", "link", "input", "hr", "path", "polyline", "rect", "use", "circle"}


class Page(HTMLParser):
    """Collects what a browser would load, all tags and ids, and whether tags close in order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.loads, self.ids, self.links, self.open, self.faults = [], [], [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" else []
        self.loads += [v for k, v in attrs if k in ("src", "srcset", "data", "poster") or (k == "href" and tag != "a")]
        self.loads += re.findall(r"url\(([^)]*)\)", values.get("style") or "")
        self.loads += re.findall(r"url\(([^)]*)\)", values.get("clip-path") or "")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in _VOID and (not self.open or self.open.pop() != tag):
            self.faults.append(tag)


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<wbr>|<[^>]+>", _blank, html, flags=re.DOTALL))


def _blank(match):
    return "" if match.group() == "<wbr>" else " "


def assert_stands_alone(html):
    """A page loads nothing from elsewhere, is well formed, and every picture has its words."""
    page = Page(html)
    assert (page.faults, page.open) == ([], [])
    assert all(address.startswith("#") for address in page.loads)
    assert not {"script", "link", "iframe", "object", "embed", "img"} & set(page.tags)
    assert "@import" not in html
    assert not re.search(r"https?://", html)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert all(re.search(r'role="img" aria-label="[^"]{5,}"', picture) for picture in re.findall(r"<svg[^>]*>", html))
    assert len(html.encode()) < 1_000_000
    return page
