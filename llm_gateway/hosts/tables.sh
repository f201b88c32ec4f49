# What the tables of an SQLite file hold, a line for each. `counts`: its name as JSON and the number of its rows, as a
# manifest has them. `checksums`: its name in hex, the number, a checksum of the rows. Nothing is changed, but that SQLite
# finishes what a killed server left half done.
# Rows are counted in the table itself: in an index from which one is missing there are fewer.
# Or `integrity`, whether the file is whole: "ok", or "damage|FINDING", or "odd|FINDING|STATEMENT" with what fixes it
# where every row can be read all the same.
# Or `schema`, by which it is known whose it is, names in hex of its encoding: "encoding|UTF-8", "table|NAME", of three tables "column|TABLE|NAME",
# "trigger|NAME|TABLE", "view|NAME", and of One API's accounts "users|NUMBER" and "account|ID|NAME|ROLE|STATUS" for administrators.
# Before this text stand: database patience wanted (counts, checksums, integrity, schema) program (host_tables.py).
export LC_ALL=C
# One API's user can lead a link anywhere, and root would follow it.
[ ! -L "$database" ] || { echo "$database is a link: put the file itself there, or make its directory the link" >&2; exit 1; }
[ -f "$database" ] || { echo "$database is not there" >&2; exit 1; }

sql() { sqlite3 -init /dev/null -cmd 'PRAGMA ignore_check_constraints=ON' -bail -batch -noheader -list -cmd ".timeout ${patience}000" "$database"; }

look() {
    if ! command -v sqlite3 > /dev/null; then
        python3 -c "$program" "$database" "$patience" "$wanted"
        return
    fi
    case $wanted in
        integrity)
            # With a number in brackets SQLite 3.46 looks for a table of that name. What is broken comes before what is odd.
            echo "SELECT replace(integrity_check, char(10), ' ') FROM pragma_integrity_check;" | sql
            return
            ;;
        schema)
            known=$(sql << 'SQL'
SELECT 'encoding|' || encoding FROM pragma_encoding;
SELECT 'table|' || hex(name) FROM sqlite_master WHERE type = 'table' ORDER BY name;
SELECT 'column|' || hex(m.name) || '|' || hex(c.name) FROM sqlite_master m, pragma_table_info(m.name) c
WHERE m.type = 'table' AND m.name IN ('channels', 'tokens', 'users') ORDER BY m.name, c.cid;
SELECT 'trigger|' || hex(name) || '|' || hex(tbl_name) FROM sqlite_master WHERE type = 'trigger' ORDER BY name;
SELECT 'view|' || hex(name) FROM sqlite_master WHERE type = 'view' ORDER BY name;
SELECT 'is One API'
WHERE (SELECT count(*) FROM pragma_table_info('users') WHERE name IN ('username', 'role', 'status')) = 3;
SQL
            ) || return
            printf '%s\n' "$known"
            case $known in *'is One API') ;; *) return 0 ;; esac
            sql << 'SQL'
SELECT 'users|' || count(*) FROM users NOT INDEXED;
SELECT 'account|' || rowid || '|' || hex(ifnull(username, '')) || '|' || ifnull(CAST(role AS INTEGER), 0) ||
    '|' || ifnull(CAST(status AS INTEGER), 0)
FROM users NOT INDEXED WHERE CAST(role AS INTEGER) >= 100 OR username = 'root' ORDER BY rowid LIMIT 10;
SQL
            return
            ;;
        counts) each="'SELECT %Q || count(*) FROM \"%w\" NOT INDEXED;', json_quote(name) || ': ', name" ;;
        # sqlite3 brings sha3_query(), which hashes the values themselves, so that it does not matter how a version
        # prints them.
        *) each="'SELECT ''%s'', count(*), hex(sha3_query(%Q, 256)) FROM \"%w\" NOT INDEXED;', hex(name), printf('SELECT * FROM \"%w\" NOT INDEXED', name), name" ;;
    esac
    # A virtual table has no pages, and no rows of its own.
    statements=$(sql << SQL
SELECT printf($each)
FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name;
SQL
    ) || return
    printf 'BEGIN;\n%s\nCOMMIT;\n' "$statements" | sql
}

judge() { # lines of PRAGMA integrity_check
    awk '
        function odd(key, finding, fix) {
            found = 1
            if (!(key in told)) print "odd|" finding "|" fix
            told[key] = 1
        }
        { gsub(/[[:cntrl:]|]/, "?") }
        $0 == "ok" { next }
        /^NULL value in / {
            place = substr($0, 15)
            at = match(place, /\.[^.]*$/)
            table = "\"" substr(place, 1, at - 1) "\""; column = "\"" substr(place, at + 1) "\""
            # Not IS NULL, which SQLite takes for false of a column that is NOT NULL.
            fix = "UPDATE " table " SET " column " = '"''"' WHERE typeof(" column ") = '"'null'"'"
            # Whoever has broken into One API makes the names, and root may type what is said here.
            if (place !~ /^[A-Za-z0-9_]+\.[A-Za-z0-9_]+$/) fix = "-- give each of its rows a value there"
            odd(place, "NULL in " place ", which may not hold it", fix)
            next
        }
        /^non-unique entry in index / {
            odd($NF, "rows are equal that may not be, by the index " $NF, "REINDEX, once all but one of them were changed or deleted")
            next
        }
        /^row -?[0-9]+ missing from index |^wrong # of entries in index |^row -?[0-9]+ values differ from index |^rowid not at end-of-record for row -?[0-9]+ of index / {
            odd($NF, "the index " $NF " does not hold what its table does", "REINDEX")
            next
        }
        damaged < 3 { print "damage|" $0; damaged++; found = 1 }
        END { if (!found) print "ok" }
    '
}

if [ "$wanted" = integrity ]; then
    found=$(look) || exit 1
    printf '%s\n' "$found" | judge
else
    look
fi
