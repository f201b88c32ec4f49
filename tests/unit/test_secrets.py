"""Secrets: where they come from, what is refused, and that none is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_gateway.flavours.specs import check_password
from llm_gateway.inputs.secrets import Generated, Provided, SecretsError
from llm_gateway.model import dotenv

NAME = "DASHSCOPE_API_KEY"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A secrets file as it should be."""
    path = tmp_path / "secrets.env"
    path.write_text(f"# mine\n{NAME}='from file'\nOTHER_API_KEY=other\n")
    path.chmod(0o600)
    return path


def refusal(file: Path | str) -> str:
    """What is said of a secrets file."""
    with pytest.raises(SecretsError) as refused:
        _ = Provided(str(file), {}).from_file
    return str(refused.value)


def test_the_environment_wins_over_the_file(file: Path) -> None:
    provided = Provided(str(file), {NAME: " from-environment\n"})
    assert provided.require(NAME) == "from-environment"
    assert provided.require("OTHER_API_KEY") == "other"
    assert provided.get("THIRD_API_KEY") is None


def test_a_blank_variable_does_not_hide_the_file(file: Path) -> None:
    assert Provided(str(file), {NAME: " "}).get(NAME) == "from file"
    assert Provided(None, {NAME: " "}).get(NAME) is None


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "of-this-process")
    assert Provided(None).get(NAME) == "of-this-process"


def test_a_home_directory_is_written_short(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(file.parent))
    assert Provided("~/secrets.env", {}).require("OTHER_API_KEY") == "other"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert refusal(file) == f"secrets_file: {file} is readable by others (mode {mode:04o}); `chmod 600 {file}`"


def test_a_file_that_cannot_be_read_is_told(file: Path, tmp_path: Path) -> None:
    assert "cannot be read: [Errno 2]" in refusal(tmp_path / "none")
    assert "cannot be read: [Errno 21]" in refusal(tmp_path)
    file.write_bytes(b"A=\xff\n")
    assert "cannot be read: 'utf-8' codec" in refusal(file)
    file.write_text("A=1\nhush hush\n")
    assert refusal(file).startswith(f"secrets_file: {file}: line 2: ")
    assert "hush" not in refusal(file)


def test_a_missing_secret_is_told_with_the_ways_to_hand_it_in(file: Path) -> None:
    with pytest.raises(SecretsError) as refused:
        Provided(None, {}).require(NAME)
    assert str(refused.value) == (
        f"{NAME}: this secret is missing; `export {NAME}=…` in the shell that runs pyinfra,"
        f" or write `{NAME}=…` in a 0600 file named by the setting `secrets_file`"
    )
    with pytest.raises(SecretsError, match=f"in {file}$"):
        Provided(str(file), {}).require("THIRD_API_KEY")


@pytest.mark.parametrize("value", ["hush hush", "hush\thush", "hush\nhush", "hüsh", "hush\u200b", "\ufeffhush"])
def test_a_secret_that_cannot_be_sent_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(SecretsError) as refused:
        Provided(None, {NAME: value}).require(NAME)
    assert str(refused.value) == f"{NAME}: this secret holds a blank, a line break or a non-ASCII character"


@pytest.mark.parametrize(
    ("environment", "wrong"),
    [
        ({}, "this secret is missing"),
        ({"MY_ADC": "/home/wei/service-account.json"}, "this secret is no JSON document (not its path)"),
        ({"MY_ADC": '["hush"]'}, "this secret is no JSON document (not its path)"),
        ({"MY_ADC": '{"hush'}, "this secret is no JSON document (not its path)"),
    ],
)
def test_how_a_service_account_is_handed_in_is_told(environment: dict[str, str], wrong: str) -> None:
    with pytest.raises(SecretsError) as refused:
        Provided(None, environment).credential("vertex_ai_adc", "MY_ADC")
    assert str(refused.value).startswith(f"MY_ADC: {wrong}; ")
    assert '`export MY_ADC="$(cat FILE.json)"`' in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_service_account_in_the_file_or_as_a_key_is_told(file: Path) -> None:
    document = '{\n "private_key": "hush\\n"\n}'
    for line in (f"MY_ADC={document}", f"MY_ADC='{document}'", f"A=1\n MY_ADC='{document.replace(chr(10), '')}'"):
        file.write_text(line + "\n")
        assert refusal(file).startswith(f"secrets_file: {file}: line ")
        assert '`export MY_ADC="$(cat FILE.json)"`' in refusal(file)
        assert "hush" not in refusal(file)
    with pytest.raises(SecretsError, match=r'`"config": \{"vertex_ai_adc": "MY_ADC", …\}`'):
        Provided(None, {"MY_ADC": document}).require("MY_ADC")


def test_generated_secrets_are_what_one_api_takes() -> None:
    made = Generated.new()
    check_password(made.root_password)
    assert len(made.root_password) == 20
    assert len(made.access_token) == 32
    assert len(made.session_secret) == 48
    assert len({*vars(made).values(), *vars(Generated.new()).values()}) == 8


def test_generated_secrets_are_read_back() -> None:
    made = Generated.new()
    assert Generated.read(made.render()) == made
    chosen_by_a_person = Generated('pass word$#"', made.access_token, made.session_secret)
    assert Generated.read(chosen_by_a_person.render()) == chosen_by_a_person


def test_generated_secrets_that_are_damaged_are_told() -> None:
    text = Generated.new().render()
    with pytest.raises(SecretsError, match="ONEAPI_ACCESS_TOKEN is missing"):
        Generated.read("\n".join(line for line in text.splitlines() if "ACCESS" not in line) + "\n")
    with pytest.raises(SecretsError, match="line 1: ") as refused:
        Generated.read("hush hush\n")
    assert "hush" not in str(refused.value)


def test_no_secret_is_in_a_repr(file: Path) -> None:
    made = Generated.new()
    assert not [secret for secret in vars(made).values() if secret in repr(made)]
    provided = Provided(str(file), {NAME: "hush"})
    assert "hush" not in repr(provided)
    assert "other" not in repr(provided)


def test_what_is_rendered_is_read_alike_by_all_readers() -> None:
    made = Generated.new()
    assert list(dotenv.read(made.render()).values()) == list(vars(made).values())
