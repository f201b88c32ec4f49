"""The file that an export writes: a declaration in Python, that pyinfra takes as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from llm_gateway.contents.export import Export, Item
from llm_gateway.contents.export_options import Options
from llm_gateway.contents.python_text import comment, commented, field, item, printable

_NONE_HERE = (
    "The gateway shows no key of a channel, so none was read, and none is compared: a channel that is as it is declared"
    " here is taken to have its key. `--data gateway_force_keys=True` sends them all once."
)
_NOT_SEEN = (
    "Not here: the tokens for verification and for the OpenClaw hosts, which are declared by themselves; other users'"
    " tokens; options that hold secrets (SMTPToken, GitHubClientSecret, ...), which it never shows. All of that"
    " stays as it is, and so does what is commented out below."
)


def file_name(host: str) -> str:
    """A name for the file of a host, whatever pyinfra calls it (`@docker/x`)."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', host).strip('-.') or 'gateway'}.py"


def text(host: str, found: Export) -> str:
    """The file's content."""
    parts = (
        _head(host, found),
        _list("gateway_channels", found.channels),
        _list("gateway_tokens", found.tokens),
        _options(found.options),
        _secrets(found),
    )
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def told(found: Export) -> Iterator[str]:
    """What a person has to know, a line each."""
    for each in (*found.channels, *found.tokens):
        yield from (f"left out: {printable(each.label)}: {printable(reason)}" for reason in each.obstacles)
        yield from (f"{printable(each.label)}: {printable(remark)}" for remark in each.remarks)
    yield from (f"left out: {printable(reason)}" for reason in found.options.refused)
    yield from (f"option {name}: {remark}" for name, remark in found.options.remarks.items())
    yield from (printable(warning) for warning in found.warnings)


def _head(host: str, found: Export) -> list[str]:
    paragraphs = [
        # Not the host's name: Python takes "coding: NAME" in the first two lines for the file's encoding.
        "What a gateway holds: its channels, tokens and options, as deploys/export.py has found them.",
        f"The gateway is {host}. To use this if it is the only one: make this file group_data/gateways.py."
        " Where there are several: give it a group of its own in the inventory, and make this file"
        " group_data/NAME-OF-THE-GROUP.py. Hand in the secrets that are listed at the end; then"
        " `python deploys/plan.py INVENTORY --check` finds nothing to change.",
        _NONE_HERE,
        _NOT_SEEN,
    ]
    lines = [*comment(paragraphs[0]), *chain.from_iterable(["#", *comment(each)] for each in paragraphs[1:])]
    if found.warnings:
        lines += ["#", "# TO DO:", *chain.from_iterable(comment(f"- {each}", 0, "  ") for each in found.warnings)]
    return lines


def _list(name: str, items: Sequence[Item]) -> list[str]:
    if not items:
        return [f"{name} = []"]
    return [f"{name} = [", *chain.from_iterable(map(_item, items)), "]"]


def _item(found: Item) -> Iterator[str]:
    for remark in found.remarks:
        yield from comment(f"{found.label}: {remark}", 1, "  ")
    if not found.obstacles:
        yield from item(found.fields, 1)
        return
    for reason in found.obstacles:
        yield from comment(f"NOT DECLARED, {found.label}: {reason}", 1, "  ")
    yield from commented(item(found.fields, 1), 1)


def _options(found: Options) -> list[str]:
    lines = [*chain.from_iterable(comment(f"NOT DECLARED, {reason}", 0, "  ") for reason in found.refused)]
    lines += chain.from_iterable(comment(note, 0, "  ") for note in found.notes)
    if not found.values:
        return [*lines, "gateway_options = {}"]
    lines.append("gateway_options = {")
    for name, value in found.values.items():
        if name in found.remarks:
            lines += comment(f"{name}: {found.remarks[name]}", 1, "  ")
        lines += field(name, value, 1)
    return [*lines, "}"]


def _secrets(found: Export) -> list[str]:
    names = found.secrets
    if not names:
        return ["# No secrets have to be handed in."]
    first = (
        f"The secrets that have to be handed in ({len(names)}): `export NAME=...` in the shell that runs pyinfra, or a"
        " line NAME=... in the file that the setting secrets_file names (mode 0600)."
    )
    lines = [comment(f"{name}: {', '.join(uses)}", 0, "    ") for name, uses in names.items()]
    return [*comment(first), *(f"#   {line[2:]}" for part in lines for line in part)]
