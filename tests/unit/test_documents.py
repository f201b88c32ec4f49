"""The documents: what they name and lead to is there, each page is reached, and its Chinese twin has the same in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import pages

ROOT = pages.ROOT
DOCUMENTS = [*pages.pages(), *sorted(path.relative_to(ROOT) for path in ROOT.glob("examples/**/*.md"))]
ENGLISH = [page for page in DOCUMENTS if not page.name.endswith(pages.CHINESE)]
FOLDERS = (
    *("bench", "client", "deploys", "docs", "examples", "files", "findings", "group_data", "lab", "llm_gateway"),
    *("requirements", "scripts", "templates", "tests"),
)
ONE_LANGUAGE = {
    **dict.fromkeys(
        ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"), "for people who read the code, which is in English"
    ),
    **dict.fromkeys(
        ("docs/attacks-and-faults.md", "docs/findings.md", "docs/runtimes.md"),
        "generated from English texts of the tests",
    ),
    **dict.fromkeys(("docs/agent-paths.md", "docs/threats.md"), "a table of what tests and programs say, in English"),
}
"""The pages that have no Chinese twin, and why."""


def read(page: Path) -> str:
    """The text of a page, by its path from the top."""
    return (ROOT / page).read_text(encoding="utf-8")


def missing(text: str, place: Path) -> list[str]:
    """The files that a text names by their path from the top, or leads to from its place, and that are not there; and
    the links to an anchor that the page has not.
    """
    named = [name for name in re.findall(r"`([\w./-]+/[\w./-]*)`", text) if name.split("/")[0] in FOLDERS]
    absent = [name for name in named if not (ROOT / name).exists()]
    for link in pages.links(text):
        path, _, anchor = link.partition("#")
        target = place / path
        is_there = target.exists() if path else True
        if is_there and anchor:
            is_there = anchor in pages.anchors(target.read_text(encoding="utf-8") if path else text)
        if not is_there:
            absent.append(link)
    return absent


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_documents_name_files_and_anchors_that_are_there(document: Path) -> None:
    assert missing(read(document), (ROOT / document).parent) == []


def test_a_file_or_an_anchor_that_is_not_there_is_found() -> None:
    text = "`llm_gateway/attic/`, `deploys/plan.py` and [this](design.md#floors) or [that](attic.md), not `data/.env`"
    assert missing(text, ROOT / "docs") == ["llm_gateway/attic/", "attic.md"]
    text = "# A title\n\n[here](#a-title) [nowhere](#title) [there](design.md#attic)"
    assert missing(text, ROOT / "docs") == ["#title", "design.md#attic"]


@pytest.mark.parametrize("start", ["README.md", "README.zh-CN.md"])
def test_each_page_is_reached_from_the_readme_in_its_language(start: str) -> None:
    found, to_read = set[Path](), [Path(start)]
    while to_read:
        page = to_read.pop()
        if page in found:
            continue
        found.add(page)
        paths = [link.partition("#")[0] for link in pages.links(read(page))]
        there = [(ROOT / page.parent / path).resolve().relative_to(ROOT) for path in paths if path.endswith(".md")]
        to_read += [each for each in there if each.name.endswith(pages.CHINESE) == start.endswith(pages.CHINESE)]
    wanted = {
        page
        for page in pages.pages()
        if page.name.endswith(pages.CHINESE) == start.endswith(pages.CHINESE) or str(page) == start
    }
    assert wanted - found == set(), f"link them from {'docs/index' + Path(start).name.removeprefix('README')}"


@pytest.mark.parametrize("page", [page for page in ENGLISH if page.parts[0] != "examples"], ids=str)
def test_a_page_has_a_twin_with_the_same_headings_and_commands(page: Path) -> None:
    if str(page) in ONE_LANGUAGE:
        assert not (ROOT / pages.twin(page)).exists(), "it has a twin: take it out of ONE_LANGUAGE"
        return
    assert (ROOT / pages.twin(page)).exists(), f"write {pages.twin(page)}, or say in ONE_LANGUAGE why there is none"
    for one, other in ((page, pages.twin(page)), (pages.twin(page), page)):
        assert other.name in pages.links(read(one)), f"{one} does not lead to {other}"
    if str(page) not in pages.OWN_HEADINGS:
        assert list(pages.lacks(read(page), read(pages.twin(page)))) == []


def test_what_a_twin_lacks_is_named() -> None:
    english = '# T\n\n## Do it\n\n```sh\nmake lab  # try\necho "a"\n```\n\n## Undo it\n'
    chinese = '# 标题\n\n## 做\n\n```sh\nmake lab  # 试\necho "甲"\n```\n\n## 撤销\n'
    assert list(pages.lacks(english, chinese)) == []
    assert list(pages.lacks(english, chinese.replace("make lab", "make test"))) == [
        "code ('sh', 'make lab', 'echo \"\"'): its twin has ('sh', 'make test', 'echo \"\"') in its place"
    ]
    assert list(pages.lacks(english, chinese.replace("## 撤销", ""))) == [
        "heading 'Undo it': its twin has None in its place"
    ]
    assert list(pages.lacks(english, chinese.replace("## 撤销", "### 撤销"))) == [
        "heading 'Undo it': its twin has '撤销' in its place"
    ]


def test_chinese_headings_get_the_english_anchors_once() -> None:
    english = "# T\n\n## Do `x`, then y\n\n```sh\n## no heading\n```\n\n## OpenClaw\n\n## Do `x`, then y\n"
    chinese = "# 标题\n\n## 先 `x` 再 y\n\n```sh\n## 不是标题\n```\n\n## OpenClaw\n\n## 再来\n"
    made = pages.anchored(english, chinese)
    assert made == (
        '# 标题\n\n## 先 `x` 再 y <a id="do-x-then-y"></a>\n\n```sh\n## 不是标题\n```\n\n## OpenClaw\n\n'
        '## 再来 <a id="do-x-then-y-1"></a>\n'
    )
    assert pages.anchored(english, made) == made
    assert {*pages.heading_anchors(english)} - {"t"} <= pages.anchors(made)
    assert pages.anchored(english, chinese + "## 多\n") == chinese + "## 多\n", (
        "other headings: the twin's test names them"
    )


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_readme_is_short(page: str) -> None:
    text = read(Path(page))
    assert len(text.splitlines()) <= 130
    assert len(re.findall(r"[\u4e00-\u9fff]", text)) <= 1500
    assert len(re.findall(r"[^\s\u4e00-\u9fff]+", text)) <= 900


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "runbook").glob("*.md")), ids=lambda page: page.name)
def test_a_page_of_the_runbook_is_one_screen_and_begins_with_its_command(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert 30 <= len(lines) <= 60
    assert next(number for number, line in enumerate(lines) if line.startswith("```sh")) <= 15
