"""Texts for a person in English and Chinese, and which of the two a person reads."""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH, CHINESE = LANGUAGES = ("en", "zh")


class Wording:
    """The texts of a table in one language.

    Parameters: `table`, by name the text in English and in Chinese, with fields in braces.
    """

    def __init__(self, table: Mapping[str, tuple[str, str]], language: str = ENGLISH) -> None:
        self._table = table
        self._column = LANGUAGES.index(language)
        self.language = language

    def __call__(self, name: str, /, **values: object) -> str:
        """The text of that name."""
        return self._table[name][self._column].format(**values)


def language(environment: Mapping[str, str], encoding: str) -> str:
    """Chinese where the locale says so and the output can hold it."""
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return CHINESE if locale.startswith("zh") and is_unicode(encoding) else ENGLISH


def is_unicode(encoding: str) -> bool:
    """Whether an output of this encoding takes any character."""
    return encoding.lower().replace("-", "").startswith("utf")
