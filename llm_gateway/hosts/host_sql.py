"""Runs on a host without sqlite3, sent over by `database`: does what sqlite3 does with statements on standard input.

Arguments: the database's path, and how many seconds to wait for a lock. Prints a line for each row of an answer.
"""

import sqlite3
import sys

try:
    connection = sqlite3.connect(sys.argv[1], timeout=float(sys.argv[2]), isolation_level=None)
    for statement in sys.stdin.read().split(";"):
        for row in connection.execute(statement):
            print(*row, sep="|")
except sqlite3.Error as error:
    sys.exit(f"Error: {error}")
