# A backup of the one store, staged in incoming.partial/, as one of the other. Python appends the name of the function to run.
# Before this text stand: directory, and of a PostgreSQL: service (the file that leads psql there) claim (the deployment's table).
set -eu
umask 077
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
cd "$directory"
command -v sqlite3 > /dev/null || { echo 'sqlite3 is not on this host: apt-get install sqlite3' >&2; exit 1; }
file=incoming.partial/one-api.db
dump=incoming.partial/one-api.sql

# Whoever has broken into One API wrote it: no CHECK and no trigger of it is run.
sql() { # FILE, statements on standard input
    sqlite3 -init /dev/null -cmd 'PRAGMA ignore_check_constraints=ON' -cmd '.output /dev/null' \
        -cmd '.dbconfig enable_trigger off' -cmd '.output stdout' -bail -batch -noheader -list -cmd '.timeout 15000' "$1"
}
export PGSERVICEFILE="${service:-}" PGSERVICE=gateway PGOPTIONS='-c client_min_messages=error'
ask() { printf '%s\n' "$1" | psql -XqAt -F '|' -v ON_ERROR_STOP=1 -v VERBOSITY=terse; }
section() { # NAME of pg_dump's: the tables as One API has made them in the database
    pg_dump --no-password --no-owner --no-acl --section="$1" --table="\"$schema\".*" --exclude-table="$claim"
}
is_plain() { case $1 in '' | *[!a-z0-9_]*) echo "'$1' is no name of One API's" >&2 && return 1 ;; esac; }

say() { printf '%s\n' "$1"; } # what sh itself would take a backslash in

# A file's rows in a dump with the present tables. Values go as hex digits, so that nothing of them is read as anything else, and
# into a table of texts first: what its column does not take fails the whole, as a number that is none, and is not cut off.
to_dump() {
    schema=$(ask 'SELECT current_schema();')
    known=$(ask "SELECT c.relname, a.attname, CASE t.typcategory WHEN 'S' THEN '' ELSE '::' || format_type(t.oid, NULL) END
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> '$claim' AND a.attnum > 0
        AND NOT a.attisdropped ORDER BY c.relname, a.attnum;")
    [ -n "$known" ] || { echo 'the gateway has made no tables in its database yet: run deploy.py first' >&2; exit 1; }
    tables=$(printf '%s\n' "$known" | cut -d '|' -f 1 | sort -u)
    for table in $(say "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\';" | sql "$file"); do
        ! printf '%s\n' "$tables" | grep -qxF "$table" || continue
        is_plain "$table"
        [ "$(say "SELECT count(*) FROM \"$table\" NOT INDEXED;" | sql "$file")" = 0 ] || {
            echo "it has rows in the table $table, which the gateway's database has not" >&2
            exit 1
        }
    done
    {
        section pre-data
        for table in $tables; do rows_of "$table"; done
        section post-data
        ask "SELECT format('SELECT pg_catalog.setval(%L, coalesce(max(%I), 1), max(%I) IS NOT NULL) FROM %I.%I;',
            pg_get_serial_sequence(c.oid::regclass::text, a.attname), a.attname, a.attname, '$schema', c.relname)
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = current_schema()::regnamespace
            AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> '$claim'
            AND pg_get_serial_sequence(c.oid::regclass::text, a.attname) IS NOT NULL;"
        say '-- PostgreSQL database dump complete'
    } > "$dump.new"
    sync "$dump.new"
    mv -T "$dump.new" "$dump"
    rm -f "$file" "$file"-*
}
rows_of() { # TABLE
    is_plain "$1"
    there=$(say "SELECT name FROM pragma_table_info('$1');" | sql "$file")
    names='' columns='' digits='' values=''
    while IFS='|' read -r table column cast; do
        [ "$table" = "$1" ] || continue
        printf '%s\n' "$there" | grep -qxF "$column" || continue
        is_plain "$column"
        names="$names${names:+, }\"$column\"" columns="$columns${columns:+, }\"$column\" text"
        # SQLite's own text of a fraction has 15 digits.
        digits="$digits${digits:+ || char(9) || }CASE typeof(\"$column\") WHEN 'null' THEN '\\N' WHEN 'real' THEN hex(printf('%!.17g', \"$column\")) ELSE hex(CAST(\"$column\" AS TEXT)) END"
        values="$values${values:+, }pg_catalog.convert_from(pg_catalog.decode(\"$column\", 'hex'), 'UTF8')$cast"
    done << END
$known
END
    [ -n "$names" ] || return 0 # an older version had no such table
    say "CREATE TEMPORARY TABLE \"$1\" ($columns);"
    say "COPY pg_temp.\"$1\" ($names) FROM stdin;"
    say "SELECT $digits FROM \"$1\" NOT INDEXED;" | sql "$file"
    say '\.'
    say "INSERT INTO $schema.\"$1\" ($names) SELECT $values FROM pg_temp.\"$1\";"
    # Row by row what was to come is what is there.
    say "DO \$do\$ BEGIN IF EXISTS (SELECT $values FROM pg_temp.\"$1\" EXCEPT ALL SELECT $names FROM $schema.\"$1\")"
    say "THEN RAISE EXCEPTION 'rows of $1 are not as they were'; END IF; END \$do\$;"
    say "DROP TABLE pg_temp.\"$1\";"
}

# A dump's rows in a file with the tables of the gateway's own.
to_file() {
    [ -f data/one-api.db ] && [ ! -L data/one-api.db ] || { echo 'the gateway has made no file yet: run deploy.py first' >&2; exit 1; }
    rm -f "$file"
    say "VACUUM INTO '$file';" | sql data/one-api.db
    {
        say 'PRAGMA synchronous = OFF;'
        say 'BEGIN IMMEDIATE;'
        say "SELECT 'DELETE FROM \"' || name || '\";' FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND (name NOT LIKE 'sqlite\\_%' ESCAPE '\\' OR name = 'sqlite_sequence');" | sql "$file"
        inserts
        say 'COMMIT;'
    } | sql "$file"
    rm -f "$dump"
}
inserts() { # what COPY says, as SQLite takes it; t and f are 1 and 0, and a text of a fixed length ends where its blanks begin
    awk '
        function plain(text) { # without a backslash of its own
            gsub(/\\n/, "\n", text); gsub(/\\r/, "\r", text); gsub(/\\t/, "\t", text)
            gsub(/\\b/, "\b", text); gsub(/\\f/, "\f", text); gsub(/\\v/, "\v", text)
            return text
        }
        function value(text, kind,    count_of, between, each) {
            if (text == "\\N") return "NULL"
            if (kind == "boolean") return text == "t" ? "1" : "0"
            count_of = split(text, between, /\\\\/)
            text = plain(between[1])
            for (each = 2; each <= count_of; each++) text = text "\\" plain(between[each])
            gsub(/\047/, "\047\047", text)
            if (kind ~ /^character\(/) sub(/ +$/, "", text)
            return "\047" text "\047"
        }
        inside && $0 == "\\." { inside = 0; next }
        inside {
            count = split($0, part, "\t")
            text = ""
            for (i = 1; i <= count; i++) text = text (i > 1 ? ", " : "") value(part[i], kinds[table, names[i]])
            print "INSERT INTO \"" table "\" (" list ") VALUES (" text ");"
            next
        }
        /^CREATE TABLE / { made = $3; sub(/^[^.]*\./, "", made); gsub(/"/, "", made); next }
        made != "" && /^\);?$/ { made = ""; next }
        made != "" { name = $1; gsub(/"/, "", name); kind = $2; sub(/,$/, "", kind); kinds[made, name] = kind; next }
        /^COPY [^ ]+ \(/ {
            table = $2; sub(/^[^.]*\./, "", table); gsub(/"/, "", table)
            list = $0; sub(/^[^(]*\(/, "", list); sub(/\) FROM stdin;$/, "", list)
            gsub(/[" ]/, "", list)
            count = split(list, names, ",")
            list = ""
            for (i = 1; i <= count; i++) list = list (i > 1 ? ", " : "") "\"" names[i] "\""
            inside = 1
        }
    ' "$dump"
}
