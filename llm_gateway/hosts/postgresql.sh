# What tables.sh tells of a SQLite file, of a database of a PostgreSQL: `counts`, `checksums`, `integrity` and `schema`.
# The tables are those of the schema in which One API makes its own; the deployment's claim is none of them.
# Before this text stand: service (a file of libpq's services, for root alone, which names it "gateway") patience (seconds)
# wanted, and claim (the name of the deployment's table).
export LC_ALL=C
# A password is in no argument and in no environment: psql reads the file.
export PGSERVICEFILE="$service" PGSERVICE=gateway PGAPPNAME=openclaw-llm-gateway PGCLIENTENCODING=UTF8
export PGOPTIONS="-c lock_timeout=${patience}s -c client_min_messages=error -c DateStyle=ISO"
psql_here() { psql -XqAt -F "|" -v ON_ERROR_STOP=1 -v VERBOSITY=terse -v claim="$claim" "$@"; }

tables="FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> :'claim'"
hex() { printf "upper(encode(convert_to(%s::text, 'UTF8'), 'hex'))" "$1"; }

each_table() { # EXPRESSION of the statement for a table, as arguments of format()
    psql_here << SQL
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT format($1) $tables ORDER BY c.relname COLLATE "C" \\gexec
COMMIT;
SQL
}
look() {
    case $wanted in
        counts) each_table "'SELECT %L || count(*) FROM %I', to_json(c.relname)::text || ': ', c.relname" ;;
        # A sum over the rows does not depend on their order, and takes no memory; two numbers of 63 bits a row.
        checksums | integrity)
            half="coalesce(sum(('x' || substr(h, %s, 16))::bit(64)::bigint::numeric), 0)"
            # shellcheck disable=SC2059 # where the half begins
            sums="$(printf "$half" 1) || '.' || $(printf "$half" 17)"
            # shellcheck disable=SC2016 # quotes of PostgreSQL
            found=$(each_table '$s$SELECT %L, count(*), '"$sums"' FROM (SELECT md5(t::text) AS h FROM %I t) rows$s$, '"$(hex c.relname), c.relname") || return
            if [ "$wanted" = integrity ]; then echo ok; else printf '%s\n' "$found"; fi
            ;;
        schema)
            known=$(psql_here << SQL
SELECT 'encoding|' || CASE pg_encoding_to_char(encoding) WHEN 'UTF8' THEN 'UTF-8' ELSE pg_encoding_to_char(encoding) END
FROM pg_database WHERE datname = current_database();
SELECT 'table|' || $(hex c.relname) $tables ORDER BY c.relname COLLATE "C";
SELECT 'column|' || $(hex c.relname) || '|' || $(hex a.attname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
AND c.relname IN ('channels', 'tokens', 'users') ORDER BY c.relname, a.attnum;
SELECT 'trigger|' || $(hex t.tgname) || '|' || $(hex c.relname) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal ORDER BY t.tgname;
SELECT 'view|' || $(hex c.relname) FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('v', 'm') ORDER BY c.relname;
SELECT 'is One API' WHERE (SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('users')
AND attname IN ('username', 'role', 'status') AND NOT attisdropped) = 3;
SQL
            ) || return
            printf '%s\n' "$known"
            case $known in *'is One API') ;; *) return 0 ;; esac
            psql_here << SQL
SELECT 'users|' || count(*) FROM users;
SELECT 'account|' || id || '|' || $(hex "coalesce(username, '')") || '|' || coalesce(role, 0) || '|' || coalesce(status, 0)
FROM users WHERE role >= 100 OR username = 'root' ORDER BY id LIMIT 10;
SQL
            ;;
        *) psql_here -f - ;;
    esac
}
look
