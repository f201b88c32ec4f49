"""Runs on a host without sqlite3, sent over by `sums`: statements on standard input, one a line, and their rows.

Arguments: the database's path, how many seconds to wait for a lock, and "-readonly" where it is only read.
"""

import sqlite3
import sys


def main(path: str, patience: str, *options: str) -> None:
    """Run the statements. Each answer is a row of one column."""
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    mode = "ro" if options else "rw"
    connection = sqlite3.connect(f"file:{quoted}?mode={mode}", uri=True, timeout=float(patience), isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    for statement in filter(str.strip, sys.stdin):
        for row in connection.execute(statement):
            print(*("" if value is None else value for value in row), sep="|")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except sqlite3.Error as error:
        sys.exit(f"Error: {error}")
