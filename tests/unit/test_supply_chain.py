"""What is locked, billed and audited: each package by its hashes, each image by what pins it, no silence as a pass."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from scripts import audit, sbom

ROOT = Path(__file__).parent.parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_file_names_one_version_and_its_hashes_and_no_place(lock: Path) -> None:
    text = lock.read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all(
        re.match(r"[a-z0-9.-]+(\[[a-z0-9,-]+\])?==\S+.*\\\n +--hash=sha256:[0-9a-f]{64}", each) for each in entries
    )
    assert "://" not in text and "--index-url" not in text and "--find-links" not in text


def test_the_lock_file_of_openclaw_names_versions_and_hashes_and_no_host() -> None:
    packages = json.loads((ROOT / "lab/images/openclaw/npm/package-lock.json").read_text())["packages"]
    assert packages["node_modules/openclaw"]["version"] == packages[""]["dependencies"]["openclaw"]
    for name, package in packages.items():
        is_within_another = not name or package.get("inBundle")
        assert is_within_another or package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name


def test_every_requirement_has_a_lock_file() -> None:
    assert {each.stem for each in (ROOT / "requirements").glob("*.in")} == {lock.stem for lock in LOCKS}


# --- the bill


def _settings(**given: Any) -> dict[str, Any]:
    return {"gateway_image": "registry.test:5000/team/one-api:v1", "gateway_image_digest": None} | {
        "gateway_image_archive": None,
        **given,
    }


def test_an_image_is_billed_by_its_digest() -> None:
    found = sbom.image(_settings(gateway_image_digest=DIGEST))
    assert found["purl"] == (
        f"pkg:oci/one-api@sha256%3A{'a1' * 32}?repository_url=registry.test%3A5000%2Fteam%2Fone-api&tag=v1"
    )
    assert found["hashes"] == [{"alg": "SHA-256", "content": "a1" * 32}]
    assert (found["name"], found["version"]) == ("registry.test:5000/team/one-api", "v1")


def test_an_image_from_an_archive_is_billed_by_its_id(tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as file:
        for name, content in (
            ("manifest.json", [{"Config": f"{'b2' * 32}.json", "RepoTags": ["one-api:v1"]}]),
            (f"{'b2' * 32}.json", {"architecture": "amd64"}),
        ):
            member, text = tarfile.TarInfo(name), json.dumps(content).encode()
            member.size = len(text)
            file.addfile(member, io.BytesIO(text))
    found = sbom.image(_settings(gateway_image_archive=str(archive), gateway_image_digest=DIGEST))
    assert found["hashes"] == [{"alg": "SHA-256", "content": "b2" * 32}]


def test_an_image_that_its_tag_alone_names_is_billed_as_such() -> None:
    found = sbom.image(_settings())
    assert "@" not in found["purl"]
    assert found["hashes"] == []
    assert "its bytes can change" in found["properties"][0]["value"]


def test_a_bill_names_each_package_and_each_image_once() -> None:
    packages = {
        "specVersion": "1.6",
        "components": [{"bom-ref": "requirements-L1", "name": "a", "purl": "pkg:pypi/a@1", "description": "line 1"}],
        "dependencies": [{"ref": "requirements-L1"}],
    }
    made = sbom.bill(packages, [_settings(), _settings(), _settings(gateway_image="one-api:v2")])
    references = [component["bom-ref"] for component in made["components"]]
    assert references[0] == "pkg:pypi/a@1"
    assert len(references) == len(set(references)) == 3
    assert sorted(made["dependencies"][0]["dependsOn"]) == sorted(references)


def test_a_bill_of_an_inventory_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tools = tmp_path / "bin"
    _script(tools / "cyclonedx-py", "echo '{\"components\": []}'")
    assert sbom.main(str(tools), "requirements/runtime.txt", "no-such-inventory.py") == 1
    assert capsys.readouterr().err == "sbom: there is no inventory no-such-inventory.py\n"


# --- the audit


def _script(path: Path, body: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def _pip_audit(tmp_path: Path, *packages: dict[str, Any]) -> str:
    (tmp_path / "answer.json").write_text(json.dumps({"dependencies": packages, "fixes": []}))
    return _script(tmp_path / "pip-audit", f"cat '{tmp_path}/answer.json'")


FINE = {"name": "fine", "version": "1", "vulns": []}
NOT_AUDITED = "audit: NOT AUDITED: the advisories cannot be had from here\n"
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found"}
BAD = {"name": "bad", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}


def test_a_known_vulnerability_fails_the_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(_pip_audit(tmp_path, FINE, BAD), ["a.txt", "b.txt"]) == 1
    assert "VULNERABLE b.txt: bad 1: CVE-1, fixed in 2" in capsys.readouterr().out


def test_packages_without_one_pass_and_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(_pip_audit(tmp_path, FINE, UNKNOWN), ["a.txt"]) == 0
    told = capsys.readouterr().out
    assert "1 packages audited, 0 known vulnerabilities" in told
    assert "not audited: unknown" in told


def test_an_index_without_advisories_is_no_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(_pip_audit(tmp_path, UNKNOWN, UNKNOWN), ["a.txt", "b.txt"]) == 0
    assert capsys.readouterr() == ("", NOT_AUDITED)


def test_without_a_network_nothing_is_audited_and_that_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "requests.exceptions.ConnectionError: Max retries exceeded"
    assert audit.main(_script(tmp_path / "pip-audit", f"echo '{said}' >&2; exit 1"), ["a.txt"]) == 0
    assert capsys.readouterr() == ("", NOT_AUDITED)


def test_a_network_that_is_gone_half_way_is_no_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _pip_audit(tmp_path, FINE)
    program = _script(
        tmp_path / "pip-audit",
        f"""case "$*" in *b.txt) echo 'requests.exceptions.ReadTimeout' >&2; exit 1 ;; esac
        cat '{tmp_path}/answer.json'""",
    )
    assert audit.main(program, ["a.txt", "b.txt", "c.txt"]) == 1
    assert capsys.readouterr().err == (
        "audit: BROKEN OFF at b.txt: the advisories could be had, and now cannot: run it again\n"
    )


def test_a_lock_file_of_unknown_packages_hides_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, package in (("a", FINE), ("b", UNKNOWN), ("c", BAD)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"dependencies": [package]}))
    program = _script(
        tmp_path / "pip-audit", f"""for lock in "$@"; do :; done; cat "{tmp_path}/${{lock%.txt}}.json"; exit 1"""
    )
    assert audit.main(program, ["a.txt", "b.txt", "c.txt"]) == 1
    told = capsys.readouterr().out
    assert "b.txt: unknown to the advisories, not audited: unknown" in told
    assert "VULNERABLE c.txt" in told


def test_a_broken_pip_audit_fails_the_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(_script(tmp_path / "pip-audit", "echo 'no such option' >&2; exit 2"), ["a.txt"]) == 1
    assert "no such option" in capsys.readouterr().err
