# Sums up the log of a gateway, whose data are an SQLite file or a PostgreSQL, while it serves: one answer, and nothing is
# changed. What holds of SQLite:
# A reader of SQLite holds up writers, and a writer that waits holds up new readers, as which One API knows its tokens.
# So the rows are read in portions of some 10 ms each, into a table of this process alone.
# Before this text stand answers.sh, the functions database_settings and failures, and: directory, database (a file) or service (one of libpq's), container, patience (s),
# portion (rows), most_bytes, begin, begin_text, by, program (Python); and SQL: bounds, tables, portions (with %d for the
# first key and the one behind the last), answers.
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

refuse() { printf '%s' "$*" | emit problem; end; exit 0; }

[ "$(id -u)" = 0 ] || refuse "root alone may read the gateway's data: connect as root, or use --sudo"
if [ -s "$directory/migrated-to" ]; then
    emit moved < "$directory/migrated-to"
    refuse moved
fi
if [ -z "$service" ]; then
    [ ! -L "$database" ] || refuse "$database is a link: put the file itself there, or make its directory the link"
    [ -f "$database" ] || refuse "$database is not there: deploy a gateway, or restore a backup"
fi
settings=$(database_settings "$directory/data" "$container" | tr '\n' ' ')
[ -z "$settings" ] || refuse "$settings is set: the log is in another database, which is not read"

# Whoever has broken into One API writes the database and the files, and what reads them is theirs: never root.
uid=$(stat -c %u "${database:-$directory/data}")
as_owner() {
    if [ "$uid" = 0 ]; then "$@"; else setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs -- "$@"; fi
}
if [ -n "$service" ]; then
    run_sql() { # the option is of SQLite
        PGSERVICEFILE=$service PGSERVICE=gateway PGCLIENTENCODING=UTF8 PGOPTIONS="-c client_min_messages=error" \
            psql -XqAt -F '|' -v ON_ERROR_STOP=1 -v VERBOSITY=terse
    }
elif command -v sqlite3 > /dev/null; then
    run_sql() { # [OPTION]: statements on standard input, one a line
        as_owner sqlite3 "$@" -init /dev/null -cmd 'PRAGMA ignore_check_constraints=ON' -cmd 'PRAGMA trusted_schema=OFF' \
            -bail -batch -noheader -list -cmd ".timeout ${patience}000" "$database"
    }
elif command -v python3 > /dev/null; then
    run_sql() { as_owner python3 -c "$program" "$database" "$patience" "$@"; }
else
    refuse "neither sqlite3 nor python3 is there: apt install sqlite3"
fi
sql() {
    statements=$(cat)
    # Where a killed server has left something half done, a reader has to finish it.
    printf '%s\n' "$statements" | run_sql -readonly 2> /dev/null || printf '%s\n' "$statements" | run_sql
}
summed() {
    range=$(printf '%s\n' "$bounds" | sql) || return
    {
        printf '%s\n' "$tables"
        printf '%s\n' "$range" | awk -F '|' -v portion="$portion" -v statement="$portions" '
            $1 != "" {
                # A row that somebody has given a huge number does not make endless portions.
                step = ($2 - $1) / 5000 > portion ? ($2 - $1) / 5000 : portion
                for (at = $1; at <= $2; at += step) {
                    text = statement
                    sub(/%d/, sprintf("%.0f", at), text)
                    sub(/%d/, sprintf("%.0f", at + step), text)
                    print text
                }
            }'
        printf '%s\n' "$answers"
    } | sql
}
# Both at once: the files are read while SQLite sums up. What they tell fits into the pipe.
failures | {
    found=$(summed 2>&1) || refuse "${database:-the database} cannot be read: $found"
    {
        cat
        printf '%s\n' "$found"
    } | awk -v most="$most_bytes" '{ bytes += length($0) + 1 } bytes > most { exit } { print }' | gzip -9n | emit usage
    end
}
