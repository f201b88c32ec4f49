"""An older gateway's SQLite file, with One API's own tables and rows that must not get lost."""

import re
import sqlite3
import tempfile
from pathlib import Path

from lab.errors import LabError
from lab.standin.schema import MISSING

# As GORM writes them for One API v0.6.10.
SCHEMA = """
CREATE TABLE `users` (`id` integer PRIMARY KEY AUTOINCREMENT,`username` text UNIQUE,`password` text NOT NULL,`display_name` text,`role` integer DEFAULT 1,`status` integer DEFAULT 1,`email` text,`github_id` text,`wechat_id` text,`lark_id` text,`oidc_id` text,`access_token` char(32),`quota` bigint DEFAULT 0,`used_quota` bigint DEFAULT 0,`request_count` integer DEFAULT 0,`group` varchar(32) DEFAULT "default",`aff_code` varchar(32),`inviter_id` integer);
CREATE UNIQUE INDEX `idx_users_access_token` ON `users`(`access_token`);
CREATE UNIQUE INDEX `idx_users_aff_code` ON `users`(`aff_code`);
CREATE TABLE `channels` (`id` integer PRIMARY KEY AUTOINCREMENT,`type` integer DEFAULT 0,`key` text,`status` integer DEFAULT 1,`name` text,`weight` integer DEFAULT 0,`created_time` bigint,`test_time` bigint,`response_time` integer,`base_url` text DEFAULT "",`other` text,`balance` real,`balance_updated_time` bigint,`models` text,`group` varchar(32) DEFAULT "default",`used_quota` bigint DEFAULT 0,`model_mapping` varchar(1024) DEFAULT "",`priority` bigint DEFAULT 0,`config` text,`system_prompt` text);
CREATE INDEX `idx_channels_name` ON `channels`(`name`);
CREATE TABLE `abilities` (`group` varchar(32),`model` text,`channel_id` integer,`enabled` numeric,`priority` bigint DEFAULT 0,PRIMARY KEY (`group`,`model`,`channel_id`));
CREATE TABLE `tokens` (`id` integer PRIMARY KEY AUTOINCREMENT,`user_id` integer,`key` char(48),`status` integer DEFAULT 1,`name` text,`created_time` bigint,`accessed_time` bigint,`expired_time` bigint DEFAULT -1,`remain_quota` bigint DEFAULT 0,`unlimited_quota` numeric DEFAULT false,`used_quota` bigint DEFAULT 0,`models` text,`subnet` text DEFAULT "");
CREATE UNIQUE INDEX `idx_tokens_key` ON `tokens`(`key`);
CREATE TABLE `options` (`key` text,`value` text,PRIMARY KEY (`key`));
CREATE TABLE `redemptions` (`id` integer PRIMARY KEY AUTOINCREMENT,`user_id` integer,`key` char(32),`status` integer DEFAULT 1,`name` text,`quota` bigint DEFAULT 100,`created_time` bigint,`redeemed_time` bigint);
CREATE TABLE `logs` (`id` integer PRIMARY KEY AUTOINCREMENT,`user_id` integer,`created_at` bigint,`type` integer,`content` text,`username` text DEFAULT "",`token_name` text DEFAULT "",`model_name` text DEFAULT "",`quota` integer DEFAULT 0,`prompt_tokens` integer DEFAULT 0,`completion_tokens` integer DEFAULT 0,`channel_id` integer);
CREATE INDEX `idx_logs_created_at` ON `logs`(`created_at`);
"""  # noqa: E501 -- one statement a line, as the engine stores them

DEFAULT_PASSWORD = b"123456"
BCRYPT_COST = 10
ROOT_ACCESS_TOKEN = "1egacy0root0access0token00000000"
FIRST_DAY = 1_757_000_000
LOG_ROWS = 300
ROOT_QUOTA = 500_000_000_000_000
CHANNELS = (
    # id, name, base URL, models
    (1, "dashscope-old", "https://dashscope.aliyuncs.com/compatible-mode", "qwen-plus,qwen-max"),
    (2, "minimax-old", "https://api.minimax.chat", "MiniMax-M2.5"),
)
TOKENS = (
    # id, name, key (48 characters, without "sk-")
    (1, "openclaw-main", "LegacyTokenMain" + "A" * 33),
    (2, "mem0", "LegacyTokenMem0" + "B" * 33),
    (3, "laptop-of-wei", "LegacyTokenWei" + "C" * 34),
)


def schema(version: str) -> str:
    """Return the tables as a version of One API has them: "" for v0.6.10, or one of the stand-in's older ones."""
    lines = SCHEMA.splitlines()
    for table, columns in MISSING[version].items() if version else ():
        at = next(number for number, line in enumerate(lines) if line.startswith(f"CREATE TABLE `{table}`"))
        for column in columns:
            lines[at] = re.sub(rf",`{column}` [^,)]*", "", lines[at])
    return "\n".join(lines)


def build(version: str = "") -> bytes:
    """Return the content of a ``one-api.db`` as an old, forgotten gateway leaves it behind.

    It still accepts ``root`` with the default password, has two channels, three tokens, one
    changed option and 300 rows of logs. Parameters: ``version``, as of ``schema``.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one-api.db"
        database = sqlite3.connect(path)
        try:
            with database:
                database.executescript(schema(version))
                _add_root(database)
                _add_channels(database)
                _add_tokens(database)
                _add_logs(database)
                database.execute("INSERT INTO options VALUES ('SystemName', 'Wei''s gateway')")
        finally:
            database.close()
        return path.read_bytes()


def _hash(password: bytes) -> bytes:
    # Imported here: all else in the lab runs on any Python, outside of the project's venv too.
    try:
        import bcrypt
    except ModuleNotFoundError as error:
        raise LabError(
            "the legacy profile needs the Python package bcrypt, which this Python does not have",
            "make setup, then use the Python of .venv",
        ) from error
    return bcrypt.hashpw(password, bcrypt.gensalt(BCRYPT_COST, prefix=b"2a"))


def _add_root(database: sqlite3.Connection) -> None:
    hashed = _hash(DEFAULT_PASSWORD)
    database.execute(
        "INSERT INTO users (id, username, password, display_name, role, status, access_token, quota,"
        " aff_code) VALUES (1, 'root', ?, 'Root User', 100, 1, ?, ?, '')",
        (hashed.decode("ascii"), ROOT_ACCESS_TOKEN, ROOT_QUOTA),
    )


def _add_channels(database: sqlite3.Connection) -> None:
    for number, name, base_url, models in CHANNELS:
        database.execute(
            "INSERT INTO channels (id, type, key, status, name, created_time, base_url, models)"
            " VALUES (?, 1, ?, 1, ?, ?, ?, ?)",
            (number, f"sk-legacy-upstream-key-{number}", name, FIRST_DAY, base_url, models),
        )
        database.executemany(
            "INSERT INTO abilities VALUES ('default', ?, ?, 1, 0)",
            [(model, number) for model in models.split(",")],
        )


def _add_tokens(database: sqlite3.Connection) -> None:
    database.executemany(
        "INSERT INTO tokens (id, user_id, key, name, created_time, accessed_time, remain_quota,"
        " unlimited_quota) VALUES (?, 1, ?, ?, ?, ?, ?, 1)",
        [(number, key, name, FIRST_DAY, FIRST_DAY, ROOT_QUOTA) for number, name, key in TOKENS],
    )


def _add_logs(database: sqlite3.Connection) -> None:
    database.executemany(
        "INSERT INTO logs (user_id, created_at, type, content, username, token_name, model_name,"
        " quota, prompt_tokens, completion_tokens, channel_id)"
        " VALUES (1, ?, 2, '', 'root', ?, ?, ?, ?, ?, ?)",
        [_log_row(number) for number in range(LOG_ROWS)],
    )


def _log_row(number: int) -> tuple[object, ...]:
    channel, _, _, models = CHANNELS[number % len(CHANNELS)]
    token = TOKENS[number % len(TOKENS)][1]
    model = models.split(",")[0]
    return (FIRST_DAY + 3600 * number, token, model, 40 + number, 100 + number, 20, channel)
