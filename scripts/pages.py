"""What the pages of the documentation have: headings with their anchors, code blocks, links, and a twin in Chinese.

A page `X.md` has its Chinese twin in `X.zh-CN.md` beside it, with the same headings and the same commands. A heading's
anchor is made from its words, as GitHub does it; the Chinese one carries the English anchor besides, `<a id="…"></a>`,
so that a link leads to the same place in both languages. `make generated` writes those.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parent.parent
CHINESE = ".zh-CN.md"
OWN_HEADINGS: Mapping[str, str] = {
    "docs/commands.md": "it is generated, with a heading for each command; its twin lists them in a table"
}
"""The pages whose twin has other headings, and why."""

_FENCE = re.compile(r"^ *(`{3,})(.*)$")
_HEADING = re.compile(r"^(#{1,6}) (.*)$")
_ID = re.compile(r' *<a id="([^"]+)"></a>')
_COMMENT: Mapping[str, str] = {
    "sh": r"(^|\s+)#.*$",
    "python": r"(^|\s+)#.*$",
    "toml": r"(^|\s+)#.*$",
    "js": r"\s*//.*$",
}
_OUTPUT = frozenset({"text"})


@dataclass(frozen=True)
class Block:
    """A block of code: its language, and its lines."""

    language: str
    lines: tuple[str, ...]

    @property
    def compared(self) -> tuple[str, ...]:
        """What is the same in each language: no comments, no texts in quotes, no output."""
        if self.language in _OUTPUT:
            return (self.language,)
        comment = _COMMENT.get(self.language)
        plain = (re.sub(comment, "", line) if comment else line for line in self.lines)
        same = (re.sub(r'"[^"]*"|<[^<>]*>|\'[^\']*\'', '""', line).rstrip() for line in plain)
        return (self.language, *(line for line in same if line))


def pages(root: Path = ROOT) -> list[Path]:
    """The documents for people, from the top."""
    return sorted(path.relative_to(root) for pattern in ("*.md", "docs/**/*.md") for path in root.glob(pattern))


def twin(page: Path) -> Path:
    """Where the Chinese page of an English one is, or would be."""
    return page.with_name(page.stem + CHINESE)


def blocks(text: str) -> list[Block]:
    """The blocks of code of a page."""
    return [Block(language, tuple(lines)) for language, lines in _parts(text) if language is not None]


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return "\n".join("\n".join(lines) for language, lines in _parts(text) if language is None)


def headings(text: str) -> list[tuple[int, str]]:
    """Level and words of each heading; without the anchor that it carries."""
    found = (_HEADING.match(line) for line in prose(text).splitlines())
    return [(len(each[1]), _ID.sub("", each[2])) for each in found if each]


def slug(words: str) -> str:
    """The anchor that GitHub makes of a heading's words."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", words).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def heading_anchors(text: str) -> list[str]:
    """The anchor of each heading, from its words; a second one of the same words ends in -1."""
    seen: Counter[str] = Counter()
    anchors = []
    for _, words in headings(text):
        name = slug(words)
        anchors.append(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return anchors


def anchors(text: str) -> set[str]:
    """All that a link into the page may end with."""
    return {*heading_anchors(text), *re.findall(r'<a id="([^"]+)">', prose(text))}


def links(text: str) -> list[str]:
    """What the page links to in this repository: `path`, `path#anchor` or `#anchor`."""
    plain = re.sub(r"`[^`\n]*`", "", prose(text))
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", plain) if "://" not in link]


def lacks(english: str, chinese: str) -> Iterator[str]:
    """What of an English page its twin has not, or not in that place: headings by their levels, and commands."""
    ours, theirs = headings(english), headings(chinese)
    for one, other in zip_longest(ours, theirs):
        if one is None or other is None or one[0] != other[0]:
            yield f"heading {one and one[1]!r}: its twin has {other and other[1]!r} in its place"
            break
    for block, other_block in zip_longest(blocks(english), blocks(chinese)):
        if block is None or other_block is None or block.compared != other_block.compared:
            yield f"code {block and block.compared}: its twin has {other_block and other_block.compared} in its place"
            break


def anchored(english: str, chinese: str) -> str:
    """The Chinese page, whose headings carry the English anchors; as it is where the headings are not the same.

    The title needs none, because a link to it has no anchor.
    """
    if [level for level, _ in headings(english)] != [level for level, _ in headings(chinese)]:
        return chinese
    names = iter(heading_anchors(english))
    own = iter(heading_anchors(chinese))
    out: list[str] = []
    for language, lines in _parts(chinese, keep_fences=True):
        for line in lines:
            found = _HEADING.match(line) if language is None else None
            if found is None:
                out.append(line)
                continue
            plain, name, same = _ID.sub("", line), next(names), next(own)
            out.append(plain if len(found[1]) == 1 or name == same else f'{plain} <a id="{name}"></a>')
    return "\n".join(out)


def anchored_twins(root: Path = ROOT) -> dict[str, str]:
    """The Chinese pages, each as it should be, by name."""
    return {
        str(twin(page)): anchored(
            (root / page).read_text(encoding="utf-8"), (root / twin(page)).read_text(encoding="utf-8")
        )
        for page in pages(root)
        if (root / twin(page)).exists() and str(page) not in OWN_HEADINGS
    }


def _parts(text: str, keep_fences: bool = False) -> Iterator[tuple[str | None, list[str]]]:
    """Prose (None) and blocks of code (their language) in turn, with their lines."""
    fence: str | None = None
    language: str | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if fence is None and found:
            yield None, lines
            fence, language, lines = found[1], found[2].strip(), [line] if keep_fences else []
        elif fence is not None and line.strip() == fence:
            yield language, [*lines, line] if keep_fences else lines
            fence, language, lines = None, None, []
        else:
            lines.append(line)
    yield language, lines
