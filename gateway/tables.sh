# What the tables of an SQLite file hold: for each a line, its name in hex, the number of its rows, and a checksum of
# them, or "-" where none is asked for. Nothing is changed, but that SQLite finishes what a killed server left half done.
# Or whether the file is whole: "ok", or what SQLite finds wrong.
# Before this text stand: database patience wanted (counts, checksums or integrity) program, which is host_tables.py.
[ -f "$database" ] || { echo "$database is not there" >&2; exit 1; }

sql() { sqlite3 -init /dev/null -cmd 'PRAGMA ignore_check_constraints=ON' -bail -batch -noheader -list -cmd ".timeout ${patience}000" "$database"; }

if ! command -v sqlite3 > /dev/null; then
    exec python3 -c "$program" "$database" "$patience" "$wanted"
fi
if [ "$wanted" = integrity ]; then
    echo 'PRAGMA integrity_check(5);' | sql
    exit
fi
# sqlite3 brings sha3_query(), which hashes the values themselves, so that it does not matter how a version prints them.
sum="''-''" query=''
[ "$wanted" = counts ] || sum='hex(sha3_query(%Q, 256))' query="printf('SELECT * FROM \"%w\" NOT INDEXED', name),"
statements=$(sql << SQL
SELECT printf('SELECT ''%s'', count(*), $sum FROM "%w";', hex(name), $query name)
FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name;
SQL
) || exit 1
printf 'BEGIN;\n%s\nCOMMIT;\n' "$statements" | sql
