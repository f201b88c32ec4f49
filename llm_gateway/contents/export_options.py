"""The options of a gateway as they would be declared: those that a deployment would not make so by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llm_gateway.flavours import Invalid, option_text, option_value
from llm_gateway.flavours.flavour import Flavour
from llm_gateway.flavours.option_defaults import GROUP_RATIOS
from llm_gateway.flavours.options import KINDS, Kind, is_same, ratios, same_number

_REGISTER = "RegisterEnabled"
_MOST_STRANGE = 20
_CREDENTIALS = re.compile(r"//[^/\s@]*@")
_OF_TYPE = re.compile(r"(.+)\(\d+\)")
"""How a ratio is for one type of channel alone, by its number: `name(33)`."""


@dataclass
class Options:
    """What is declared, what is to be known of it by its name, and what cannot be declared, with the reason."""

    values: dict[str, object] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def options(actual: Mapping[str, str], models: Iterable[str], is_set_up: bool, flavour: Flavour) -> Options:
    """Sort what a gateway answers.

    Parameters: `models`, those whose ratios matter; `is_set_up`, whether a deployment has made the gateway safe;
    `flavour`, what answers.
    """
    found = Options()
    for name in sorted(flavour.options & actual.keys()):
        if KINDS[name] is Kind.RATIOS:
            _add_ratios(found, name, actual[name], frozenset(models))
        elif name == _REGISTER:
            _add_registration(found, actual[name], is_set_up)
        elif name in flavour.default_options:
            _add_defaulted(found, name, actual[name], flavour.default_options[name])
        elif not flavour.is_default(name, actual[name]):
            _add(found, name, actual[name])
    if strange := sorted(name for name in actual.keys() - flavour.options if actual[name]):
        more = f" and {len(strange) - _MOST_STRANGE} more" if len(strange) > _MOST_STRANGE else ""
        named = ", ".join(strange[:_MOST_STRANGE])
        found.refused.append(f"options that cannot be declared: {named}{more}; they stay as they are in {flavour.name}")
    return found


def _add_defaulted(found: Options, name: str, text: str, wanted: object) -> None:
    """One that a deployment sets where it is not declared: declared as it is, so that nothing changes."""
    if is_same(name, option_text(name, wanted), text):
        return
    _add(found, name, text, otherwise=f"a run makes it {wanted}")
    if name in found.values:
        found.remarks[name] = f"as it is now; without this line a deployment makes it {wanted}"


def _add(found: Options, name: str, text: str, otherwise: str = "it stays as it is in the gateway") -> None:
    if _CREDENTIALS.search(text):
        found.refused.append(f"option {name}: there is a user name or a password in it; {otherwise}")
        return
    try:
        value = option_value(name, text)
        text.encode()
    except (Invalid, UnicodeEncodeError) as problem:
        # Without the value: the gateway keeps what anybody has put there.
        reason = (
            str(problem).partition(", not ")[0] if isinstance(problem, Invalid) else f"option {name} must be a string"
        )
        found.refused.append(f"{reason}; {otherwise}")
    else:
        found.values[name] = value


def _add_registration(found: Options, text: str, is_set_up: bool) -> None:
    """A deployment closes it at the first start, so before that nothing is to be declared but that."""
    found.values[_REGISTER] = is_set_up and text == "true"
    if text == "true":
        found.remarks[_REGISTER] = (
            "now anybody who reaches the gateway can make himself an account: False closes that"
            if is_set_up
            else "it is open now, and the deployment closes it; True opens it again"
        )
    elif text != "false":
        found.refused.append(f"option {_REGISTER} is neither true nor false: a run makes it false")


def _add_ratios(found: Options, name: str, text: str, models: frozenset[str]) -> None:
    """Of the models' those that are in use here: which of the others a person has set is not to be seen."""
    there = ratios(text)
    if not there and text.strip() not in ("", "{}", "null"):
        found.refused.append(f"option {name}: it is no JSON object of numbers, so the gateway uses none of it")
        return
    if name == "GroupRatio":
        chosen = {key: ratio for key, ratio in there.items() if not same_number(GROUP_RATIOS.get(key), ratio)}
    else:
        chosen = {key: ratio for key, ratio in there.items() if _model(key) in models}
        if others := len(there) - len(chosen):
            found.notes.append(
                f"{name} has other entries too ({others}), for models that no channel has. Most are the gateway's own,"
                " and it does not tell which ones a person has set: all of them are left alone."
            )
    usable = {}
    for key, ratio in sorted(chosen.items()):
        try:
            option_text(name, {key: ratio}).encode()
            usable[key] = ratio
        except (Invalid, UnicodeEncodeError):
            found.refused.append(f"option {name}: the entry {key!r} is not a ratio that can be declared")
    if usable:
        found.values[name] = usable


def _model(key: str) -> str:
    of_type = _OF_TYPE.fullmatch(key)
    return of_type[1] if of_type else key
