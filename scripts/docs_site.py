"""`make docs`: the pages of docs/ as a site, one for each language.

    python -m scripts.docs_site ZENSICAL FOLDER

`ZENSICAL`: the program of that name; `FOLDER`: where `en/` and `zh/` go, with an `index.html` that leads to them.
A page has the same address in both. Pages without a Chinese twin are on the Chinese site in English.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts import pages

DOCS = pages.ROOT / "docs"
CONFIG = pages.ROOT / "zensical.toml"
INDEX = "index.md"
PICTURES = "pictures"


@dataclass(frozen=True)
class Language:
    """A language of the site: its folder and code, and its name in itself."""

    code: str
    name: str
    is_chinese: bool = False


LANGUAGES = (Language("en", "English"), Language("zh", "中文", is_chinese=True))
_ENVIRONMENT = {**os.environ, "NO_COLOR": "1"}
_TO_TWIN = re.compile(r"^\[(?:中文|English)\]\([^)]*\)(?: · )?", re.MULTILINE)
_TO_README = re.compile(r"(?: · )?\[README\]\([^)]*\)")
_ANCHOR = re.compile(r'^(#+ .*?) *<a id="([^"]+)"></a>$', re.MULTILINE)


def texts(language: Language, docs: Path = DOCS) -> dict[str, str]:
    """The pages of a site: their text by their path in it."""
    english = {path.relative_to(docs) for path in docs.glob("**/*.md") if not path.name.endswith(pages.CHINESE)}
    chosen = {page: page for page in english}
    if language.is_chinese:
        chosen |= {page: pages.twin(page) for page in english if (docs / pages.twin(page)).exists()}
    return {str(page): _for_site((docs / file).read_text(encoding="utf-8")) for page, file in sorted(chosen.items())}


def _for_site(text: str) -> str:
    """A page as the site has it: links to twins are the selector's, and an anchor is an attribute of its heading."""
    text = _TO_README.sub("", _TO_TWIN.sub("", text, count=1), count=1)
    return _ANCHOR.sub(r"\1 { #\2 }", text.replace(f"{pages.CHINESE}", ".md"))


def navigation(index: str) -> dict[str, list[str]]:
    """What the index leads to, by its headings, in its order."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", pages.prose(index), flags=re.MULTILINE)[1:]:
        heading, _, rest = part.partition("\n")
        title = re.sub(r" *\{ #[^}]* \}$", "", heading)
        found[title] = [link for link in pages.links(rest) if link.endswith(".md")]
    return found


def config(language: Language, nav: Mapping[str, list[str]], base: str) -> str:
    """The project's file for a language: what zensical.toml says for both, with what each has of its own."""
    entries = "".join(
        f"  {{ {json.dumps(title, ensure_ascii=False)} = {json.dumps(links)} }},\n" for title, links in nav.items()
    )
    own = f'docs_dir = "docs"\nsite_dir = "site"\nnav = [\n  "{INDEX}",\n{entries}]\n'
    others = "".join(
        f'[[project.extra.alternate]]\nname = "{each.name}"\nlink = "../{each.code}/"\nlang = "{each.code}"\n\n'
        for each in LANGUAGES
    )
    text = base.replace("[project]\n", f"[project]\n{own}", 1)
    text = text.replace("[project.theme]\n", f'[project.theme]\nlanguage = "{language.code}"\n', 1)
    return f"{text}\n{others}"


def build(zensical: str, folder: Path) -> Iterator[str]:
    """Build both sites; what is wrong, in zensical's words."""
    base = CONFIG.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as work:
        for language in LANGUAGES:
            place = Path(work, language.code)
            written = texts(language)
            for name, text in written.items():
                page = place / "docs" / name
                page.parent.mkdir(parents=True, exist_ok=True)
                page.write_text(text, encoding="utf-8")
            shutil.copytree(DOCS / PICTURES, place / "docs" / PICTURES)
            (place / "zensical.toml").write_text(config(language, navigation(written[INDEX]), base), encoding="utf-8")
            command = [zensical, "build", "--strict", "--clean"]
            done = subprocess.run(command, cwd=place, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
            told = done.stdout + done.stderr.partition("Traceback ")[0]  # it ends so where a warning ends it
            if done.returncode or "warning" in told.lower():
                yield f"{language.name}:\n{told}"
                continue
            shutil.rmtree(folder / language.code, ignore_errors=True)
            shutil.copytree(place / "site", folder / language.code)
    (folder / "index.html").write_text(_START, encoding="utf-8")


_START = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>openclaw-llm-gateway</title>
<meta http-equiv="refresh" content="0; url=en/">
<p><a href="en/">English</a> · <a href="zh/" lang="zh">中文</a></p></html>
"""


def main(arguments: list[str]) -> int:
    """Build it; 1 where zensical says anything against it."""
    zensical, folder = arguments
    Path(folder).mkdir(parents=True, exist_ok=True)
    problems = list(build(str(Path(zensical).resolve()), Path(folder)))
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{folder}/index.html, in {' and '.join(language.name for language in LANGUAGES)}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
