"""Read a report as a browser does."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = ("meta", "link", "br", "img", "input", "hr")


class Page(HTMLParser):
    """Figures, links and text of a page; every element must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.alts: list[str] = []
        self.captions: list[str] = []
        self.drawn = ""
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        attributes = dict(attrs)
        links = [attributes.get(name) for name in ("href", "xlink:href", "src")]
        self.links += [link for link in links if link]
        if tag == "svg":
            assert attributes["role"] == "img"
            self.alts.append(attributes["aria-label"] or "")
        if tag == "figcaption":
            self.captions.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if "text" in self._open:
            self.drawn += data + "\n"
        if "figcaption" in self._open:
            self.captions[-1] += data

    def check(self) -> None:
        """Make sure that figures are described and numbered, and that nothing else is needed."""
        assert self.tags.count("figure") == len(self.alts) == len(self.captions) > 0
        for number, (alt, caption) in enumerate(zip(self.alts, self.captions, strict=True), 1):
            assert len(alt) > 20
            assert re.match(rf"Figure {number}\. \S.{{15,}}", caption)
        assert not {"script", "iframe", "object", "img"} & {*self.tags}
        assert not self.handlers
        assert all(link.startswith(("#", "data:")) for link in self.links)
