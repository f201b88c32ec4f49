"""What `make docs` hands to zensical: each page once in each language, at one address, and a way to all of them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from scripts import docs_site, pages
from scripts.docs_site import INDEX, LANGUAGES, Language

BY_NAME = {language.code: language for language in LANGUAGES}


@pytest.fixture(params=LANGUAGES, ids=lambda language: language.code)
def language(request: pytest.FixtureRequest) -> Language:
    """Each language of the site."""
    chosen: Language = request.param
    return chosen


def test_both_sites_have_the_same_addresses() -> None:
    english, chinese = (docs_site.texts(each) for each in LANGUAGES)
    assert english.keys() == chinese.keys()
    assert "runbook/restore.md" in english
    assert not [name for name in english if "zh-CN" in name]
    assert english["security.md"] != chinese["security.md"]
    assert english["threats.md"] == chinese["threats.md"], "it has no twin"


def test_each_page_is_in_the_navigation_once(language: Language) -> None:
    texts = docs_site.texts(language)
    listed = [page for part in docs_site.navigation(texts[INDEX]).values() for page in part]
    assert sorted([INDEX, *listed]) == sorted(texts)


def test_pages_lead_to_pages_of_the_same_site(language: Language) -> None:
    texts = docs_site.texts(language)
    for name, text in texts.items():
        for link in pages.links(text):
            path = link.partition("#")[0]
            target = (docs_site.DOCS / Path(name).parent / path).resolve()
            assert not path or str(target.relative_to(docs_site.DOCS)) in texts or _is_picture(target), (
                f"{name}: {link}"
            )


def _is_picture(target: Path) -> bool:
    return target.parent == docs_site.DOCS / docs_site.PICTURES and target.is_file()


def test_headings_have_the_same_anchors_in_both_languages() -> None:
    chinese = docs_site.texts(BY_NAME["zh"])["runbook/restore.md"]
    assert "## 指定要恢复什么 { #say-what-to-restore }" in chinese
    assert "<a id=" not in chinese


def test_what_leads_to_the_twin_and_the_readme_is_left_to_the_selector() -> None:
    made = docs_site.texts(BY_NAME["en"])
    assert made["runbook/restore.md"].splitlines()[2] == "data are wrong or gone"
    assert "README" not in made[INDEX]


def test_the_configuration_is_whole(language: Language) -> None:
    texts = docs_site.texts(language)
    base = docs_site.CONFIG.read_text(encoding="utf-8")
    made: dict[str, Any] = tomllib.loads(docs_site.config(language, docs_site.navigation(texts[INDEX]), base))[
        "project"
    ]
    assert made["theme"]["language"] == language.code
    assert made["theme"]["font"] is False
    assert made["nav"][0] == INDEX
    assert len(made["nav"]) == 1 + len(docs_site.navigation(texts[INDEX]))
    assert [each["link"] for each in made["extra"]["alternate"]] == ["../en/", "../zh/"]


def test_what_the_builder_says_against_it_fails_the_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder = tmp_path / "zensical"
    builder.write_text("#!/bin/sh\necho 'Warning: anchor does not exist'\nexit 1\n")
    builder.chmod(0o755)
    assert docs_site.main([str(builder), str(tmp_path / "site")]) == 1
    assert capsys.readouterr().err.count("anchor does not exist") == len(LANGUAGES)
    assert not (tmp_path / "site" / "en").exists()
