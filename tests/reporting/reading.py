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
        self.anchors: list[str] = []
        self.alts: list[str] = []
        self.captions: list[str] = []
        self.drawn = self.script = ""
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
            assert attributes.get("aria-hidden") or attributes.get("aria-label"), attrs
        if tag == "svg" and attributes.get("aria-label"):
            self.alts.append(attributes["aria-label"] or "")
        if tag == "img":
            assert attributes["alt"]
        if attributes.get("id"):
            assert attributes["id"] not in self.anchors, "an anchor is there once"
            self.anchors.append(attributes["id"] or "")
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
        if "script" in self._open:
            self.script += data
        if {"style", "script"} & {*self._open}:
            return
        self.text += data
        if "text" in self._open:
            self.drawn += data + "\n"
        if "figcaption" in self._open:
            self.captions[-1] += data

    def check(self) -> None:
        """Make sure that charts are described, links lead somewhere, and nothing is fetched."""
        assert all(len(alt) > 4 for alt in self.alts)
        numbered = [text for text in self.captions if text.startswith("Figure ")]
        for number, caption in enumerate(numbered, 1):
            assert re.match(rf"Figure {number}\. \S.{{15,}}", caption)
        assert not {"iframe", "object"} & {*self.tags}
        assert self.tags.count("script") <= 1
        assert len(self.script) < 2_000
        assert not self.handlers
        assert all(link.startswith(("#", "data:")) for link in self.links)
        inside = {link[1:] for link in self.links if link.startswith("#")}
        assert inside <= {*self.anchors}, inside - {*self.anchors}
