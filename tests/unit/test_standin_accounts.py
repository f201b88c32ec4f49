"""The lab's stand-in for One API: passwords, users, sessions, access tokens."""

from __future__ import annotations

from collections.abc import Callable

import bcrypt as reference
import pytest
from standin_kit import ACCESS_TOKEN, RELAY_KEY, Gateway

from lab.standin import bcrypt, passwords

pytest_plugins = ["standin_fixtures"]

Start = Callable[..., Gateway]


# --- passwords


@pytest.mark.parametrize("password", ["123456", "", "密码-with-more", "x" * 80])
def test_pure_bcrypt_agrees_with_the_reference(password: str) -> None:
    salt = reference.gensalt(4)
    expected = reference.hashpw(password.encode()[:72], salt).decode()
    assert bcrypt.hashpw(password.encode(), salt.decode()) == expected


def test_pure_bcrypt_writes_what_the_reference_accepts() -> None:
    made = bcrypt.hashpw(b"123456", bcrypt.gensalt(4))
    assert made.startswith("$2a$04$")
    assert reference.checkpw(b"123456", made.encode())
    assert not bcrypt.checkpw(b"1234567", made)


def test_pure_bcrypt_is_used_without_libcrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_native", lambda: None)
    monkeypatch.setattr(passwords, "PURE_COST", 4)
    made = passwords.hash_password("123456")
    assert passwords.check_password("123456", made)
    assert not passwords.check_password("654321", made)
    assert reference.checkpw(b"123456", made.encode())


@pytest.mark.parametrize("hashed", ["", "plain", "$2a$10$short", "$1$x$y"])
def test_what_is_no_bcrypt_hash_fits_no_password(hashed: str) -> None:
    for password in ("", hashed):
        assert not passwords.check_password(password, hashed)
        assert not bcrypt.checkpw(password.encode(), hashed)


# --- accounts


def test_default_password_logs_in_and_a_wrong_one_is_told_with_200(gateway: Gateway) -> None:
    good = gateway.login("root", "123456")
    assert good.json()["data"]["username"] == "root"
    assert good.json()["data"]["password"] == good.json()["data"]["access_token"] == ""
    assert "Path=/" in good.headers["set-cookie"]
    bad = gateway.login("root", "wrong")
    assert (bad.status_code, bad.json()["success"]) == (200, False)
    assert "set-cookie" not in bad.headers


@pytest.mark.parametrize("length, accepted", [(7, False), (8, True), (20, True), (21, False)])
def test_passwords_have_8_to_20_characters(gateway: Gateway, length: int, accepted: bool) -> None:
    user = gateway.add_user(f"pw{length}")
    body = {"password": "密" * length}
    assert gateway.api("PUT", "/api/user/self", body, user["access_token"])["success"] is accepted
    assert gateway.login(f"pw{length}", "密" * length, "10.0.1.1").json()["success"] is accepted


def test_put_self_leaves_empty_fields_alone(gateway: Gateway) -> None:
    user = gateway.add_user("keeper")
    gateway.ok("PUT", "/api/user/self", {"display_name": "K"}, user["access_token"])
    after = gateway.ok("GET", f"/api/user/{user['id']}")
    assert (after["username"], after["display_name"]) == ("keeper", "K")
    assert gateway.login("keeper", "password-1", "10.0.1.2").json()["success"]


def test_self_shows_the_access_token_and_no_password(gateway: Gateway) -> None:
    me = gateway.ok("GET", "/api/user/self")
    assert (me["access_token"], me["password"], me["role"]) == (ACCESS_TOKEN, "", 100)


def test_access_token_is_replaced_at_every_call(gateway: Gateway) -> None:
    old = gateway.add_user("rotate")["access_token"]
    new = gateway.ok("GET", "/api/user/token", token=old)
    assert len(new) == 32
    assert not gateway.api("GET", "/api/user/self", token=old)["success"]
    assert gateway.ok("GET", "/api/user/self", token=f"Bearer {new}")["username"] == "rotate"


def test_no_credentials_is_401_and_a_wrong_one_200(gateway: Gateway) -> None:
    nothing = gateway.client.get("/api/user/self")
    assert (nothing.status_code, nothing.json()["success"]) == (401, False)
    for wrong in ("nope", f"sk-{RELAY_KEY}", f"Bearer {RELAY_KEY}", "Bearer"):
        answer = gateway.client.get("/api/user/self", headers={"Authorization": wrong})
        assert (answer.status_code, answer.json()["success"]) == (200, False)


def test_roles(gateway: Gateway) -> None:
    user, admin = gateway.add_user("plain"), gateway.add_user("admin", role=10)
    assert not gateway.api("GET", "/api/channel/", token=user["access_token"])["success"]
    assert gateway.api("GET", "/api/channel/", token=admin["access_token"])["success"]
    assert not gateway.api("GET", "/api/option/", token=admin["access_token"])["success"]


def test_session_outlives_a_restart_only_with_the_secret(start: Start) -> None:
    cookie = start(SESSION_SECRET="s1").login("root", "123456").headers["set-cookie"].split(";")[0]

    def accepted(gateway: Gateway) -> bool:
        answer = gateway.client.get("/api/user/self", headers={"Cookie": cookie})
        return answer.status_code == 200 and answer.json()["success"]

    assert accepted(start(SESSION_SECRET="s1"))
    assert not accepted(start(SESSION_SECRET="s2"))
    assert not accepted(start())
    refused = start(SESSION_SECRET="random_string")
    assert "SESSION_SECRET is set to" in refused.log_text()
    cookie = refused.login("root", "123456").headers["set-cookie"].split(";")[0]
    assert not accepted(start(SESSION_SECRET="random_string"))


def test_forged_cookie_is_no_session(gateway: Gateway) -> None:
    cookie = gateway.login("root", "123456", "10.0.1.3").headers["set-cookie"].split(";")[0]
    forged = cookie[:12] + ("A" if cookie[12] != "A" else "B") + cookie[13:]
    answer = gateway.client.get("/api/user/self", headers={"Cookie": forged})
    assert answer.status_code == 401


def test_password_change_does_not_end_sessions(start: Start) -> None:
    gateway = start()
    cookie = gateway.login("root", "123456").headers["set-cookie"].split(";")[0]
    gateway.ok("PUT", "/api/user/self", {"password": "new-password"})
    answer = gateway.client.get("/api/user/self", headers={"Cookie": cookie})
    assert answer.json()["success"]
    assert not gateway.login("root", "123456").json()["success"]


def test_disabled_user_is_out_at_once(gateway: Gateway) -> None:
    user = gateway.add_user("banned")
    gateway.ok("POST", "/api/user/manage", {"username": "banned", "action": "disable"})
    assert not gateway.api("GET", "/api/user/self", token=user["access_token"])["success"]
    root = {"username": "root", "action": "disable"}
    assert not gateway.api("POST", "/api/user/manage", root)["success"]


def test_registration_is_open_until_the_option_says_no(gateway: Gateway) -> None:
    body = {"username": "visitor", "password": "password-1"}
    ip = {"X-Forwarded-For": "10.0.9.1"}
    assert gateway.post("/api/user/register", body, ip).json()["success"]
    assert gateway.ok("GET", "/api/user/search?keyword=visitor")[0]["quota"] == 0
    gateway.ok("PUT", "/api/option/", {"key": "RegisterEnabled", "value": "false"})
    body = {**body, "username": "late"}
    assert not gateway.post("/api/user/register", body, ip).json()["success"]
