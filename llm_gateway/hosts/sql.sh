# Functions that ask an SQLite file, by sqlite3 or by Python. What is asked comes on standard input, so that no secret is in
# an argument. Before this text stand: patience (seconds to wait for who has it locked) program (host_sql.py).
sql() { # FILE
    if command -v sqlite3 > /dev/null; then
        sqlite3 -init /dev/null -cmd 'PRAGMA ignore_check_constraints=ON' -bail -batch -noheader -list \
            -cmd ".timeout ${patience}000" "$1"
    else
        python3 -c "$program" "$1" "$patience"
    fi
}

can_be_asked() { command -v sqlite3 > /dev/null || python3 -c 'import sqlite3' 2> /dev/null; }
