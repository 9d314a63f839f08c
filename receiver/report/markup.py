"""HTML by construction: what is not Markup is text, and escaped."""

from __future__ import annotations

from html import escape


class Markup(str):
    """Already HTML."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str) -> Markup:
    """An element; `class_` is written class. Children that are not Markup are escaped."""
    inner = "".join(attribute(key, value) for key, value in attributes.items())
    return Markup(f"<{name}{inner}>{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))


def attribute(key: str, value: str) -> str:
    return f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'


def table(head: list[str], rows: list[list[str]], **attributes: str) -> Markup:
    """With a header row, unless it is empty; the first cell of each row names the row."""
    top = tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in head))) if head else Markup("")
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    return tag("div", tag("table", top, tag("tbody", *body), **attributes), class_="scroll")
