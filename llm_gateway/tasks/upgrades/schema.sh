# The schema of a SQLite file, in words that are equal where it is; of use on one host and at one time.
schema() { # FILE
    if command -v sqlite3 > /dev/null; then
        sqlite3 -init /dev/null -cmd 'PRAGMA ignore_check_constraints=ON' -bail -batch -noheader -list -cmd '.timeout 15000' "$1" "$SCHEMA"
    else
        python3 -c 'import sqlite3, sys
for row in sqlite3.connect(sys.argv[1], timeout=15).execute(sys.argv[2]):
    print(*row, sep="|")' "$1" "$SCHEMA"
    fi
}
SCHEMA="SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
