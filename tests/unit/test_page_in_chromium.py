"""The page of a fleet as a person sees it, in a real Chromium: each state, at both widths, light and dark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.model.wording import CHINESE, LANGUAGES
from scripts import page_sample
from scripts.chromium import Chromium

pytestmark = pytest.mark.slow

_LOOK = """(() => {
  const box = (element) => element.getBoundingClientRect();
  const shown = (element) => element.checkVisibility() && box(element).height > 0;
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return color === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : color;
  };
  const contrast = (element) => {
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const texts = [...document.querySelectorAll("body *")].filter((element) => shown(element) &&
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()) &&
    !element.closest("svg"));
  return {
    language: document.documentElement.lang,
    title: document.title,
    text: document.body.innerText,
    old: shown(document.getElementById("old")) ? document.getElementById("old").innerText : "",
    width: document.documentElement.scrollWidth,
    right: Math.max(...texts.map((element) => box(element).right)),
    smallest: Math.min(...texts.map((element) => parseFloat(getComputedStyle(element).fontSize))),
    contrast: Math.min(...texts.map(contrast)),
    ground: light(getComputedStyle(document.body).backgroundColor),
    trouble: [...document.querySelectorAll(".trouble")].map((element) => box(element).bottom),
    cards: [...document.querySelectorAll("article")].map((element) => [element.querySelector("h2").innerText,
      box(element).top, element.className]),
    commands: [...document.querySelectorAll(".trouble code")].map((element) => element.innerText),
    bars: [...document.querySelectorAll(".strip rect, .strip path, .chart rect[width]:not([width='0.0'])")]
      .map((element) => [box(element).width, box(element).height]),
    links: [...document.querySelectorAll("a")].map((element) => [element.href, shown(element)]),
  };
})()"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """One for all."""
    with Chromium() as found:
        yield found


def look(browser: Chromium, place: Path, state: str, language: str, width: int, *, is_dark: bool) -> dict[str, Any]:
    """What a person sees, and what it measures."""
    file = place / "page.html"
    file.write_text(page_sample.page(state, language).text(), encoding="utf-8")
    browser.show(file, width, is_dark=is_dark, now=page_sample.NOW[state])
    return dict(browser.evaluate(_LOOK))


@pytest.mark.parametrize(
    ("state", "language", "width", "is_dark"),
    list(product(page_sample.STATES, LANGUAGES, (390, 1280), (False, True))),
)
def test_it_is_legible(browser: Chromium, tmp_path: Path, state: str, language: str, width: int, is_dark: bool) -> None:
    seen = look(browser, tmp_path, state, language, width, is_dark=is_dark)
    assert seen["width"] <= width, "nobody scrolls sideways"
    assert seen["right"] <= width
    assert seen["smallest"] >= 12
    assert seen["contrast"] >= 4.5, "WCAG 2.2, 1.4.3 AA"
    assert (seen["ground"] < 0.1) == is_dark
    assert all(wide > 0 and high > 0 for wide, high in seen["bars"])
    assert len(seen["bars"]) > 20
    assert seen["language"] == ("zh-CN" if language == CHINESE else "en")
    assert ("金丝雀" in seen["text"]) == (language == CHINESE)


def test_trouble_comes_first_with_its_commands(browser: Chromium, tmp_path: Path) -> None:
    seen = look(browser, tmp_path, "trouble", "en", 390, is_dark=False)
    assert seen["title"] == "LLM gateways: 2 need attention"
    names = [name for name, _, _ in seen["cards"]]
    assert set(names[:2]) == {"gw2", "agent2"}
    assert [kind for _, _, kind in seen["cards"]] == ["needy", "needy", "", ""]
    (end,) = seen["trouble"]
    assert all(top > end for _, top, _ in seen["cards"])
    assert seen["commands"] == [
        "systemctl start openclaw-llm-gateway-backup.service",
        "journalctl -u openclaw-llm-gateway-backup.service",
        "llm-gateway verify",
    ]
    assert seen["links"] == [["http://100.64.0.2:3000/", True], ["http://100.64.0.1:3000/", True]]
    assert seen["old"] == ""


def test_a_fleet_that_is_well_says_so(browser: Chromium, tmp_path: Path) -> None:
    seen = look(browser, tmp_path, "well", "en", 1280, is_dark=False)
    assert "LLM gateways: all is well" in seen["text"]
    assert seen["trouble"] == []
    assert seen["title"] == "LLM gateways"


@pytest.mark.parametrize(("language", "told"), [("en", "2 h 5 min"), ("zh", "2 小时 5 分钟")])
def test_an_old_page_says_so_by_itself(browser: Chromium, tmp_path: Path, language: str, told: str) -> None:
    seen = look(browser, tmp_path, "old", language, 390, is_dark=True)
    assert told in seen["old"]
    assert seen["title"].startswith(page_sample.OLD[language])


def test_what_hosts_say_runs_nothing(browser: Chromium, tmp_path: Path) -> None:
    page = page_sample.page("trouble", "en").text()
    # Even if a text had got through unescaped, the page's policy would not let it run.
    file = tmp_path / "page.html"
    file.write_text(
        page.replace("<main>", "<main><script>document.title = 'run'</script><img src=x onerror='document.title=1'>")
    )
    browser.show(file, 390, now=page_sample.NOW["trouble"])
    assert json.dumps(browser.evaluate("document.title")) == '"LLM gateways: 2 need attention"'
