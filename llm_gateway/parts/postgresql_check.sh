# Looks at a database before anything is made in it, as the gateway's host sees it; changes nothing. On standard input stands a
# file of libpq's services, so that no secret is in an argument. Answers lines NAME|VALUE: see postgresql.py, which judges them.
# Before this text stand: host port zone claim (the name of the deployment's table).
export LC_ALL=C
umask 077
PGSERVICEFILE=$(mktemp -p /run) || exit
trap 'rm -f "$PGSERVICEFILE"' EXIT
cat > "$PGSERVICEFILE"
export PGSERVICEFILE PGSERVICE=gateway PGAPPNAME=openclaw-llm-gateway PGCLIENTENCODING=UTF8 PGOPTIONS='-c client_min_messages=error'

addresses=$(getent ahostsv4 "$host" | awk '{ print $1 }' | sort -u)
[ -n "$addresses" ] || { echo "unknown|$host"; exit 0; }
printf '%s\n' "$addresses" | sed 's/^/address|/'
words=$(timeout 10 bash -c 'exec 3<> "/dev/tcp/$1/$2"' reach "$host" "$port" 2>&1) || {
    words=$(printf '%s\n' "$words" | sed -n 's/.*: \(.*\)$/\1/p' | tail -n 1)
    echo "unreachable|${words:-no answer within 10 s}"
    exit 0
}
if ! command -v psql > /dev/null || ! command -v pg_dump > /dev/null; then
    echo "client|"
    exit 0
fi
echo "client|$(pg_dump --version | sed -n 's/.*[^0-9.]\([0-9][0-9]*\)[.0-9a-z]*\( .*\)\{0,1\}$/\1/p')"
found=$(psql -XqAt -v ON_ERROR_STOP=1 -v VERBOSITY=terse -v claim="$claim" -v zone="$zone" 2>&1 << 'SQL'
SELECT 'version|' || current_setting('server_version_num');
SELECT 'encoding|' || pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database();
SELECT 'standby|yes' WHERE pg_is_in_recovery();
SELECT 'read_only|yes' WHERE current_setting('transaction_read_only') = 'on';
SELECT 'connections|' || current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int;
SELECT 'role_limit|' || rolconnlimit FROM pg_roles WHERE rolname = current_user AND rolconnlimit >= 0;
SELECT 'database_limit|' || datconnlimit FROM pg_database WHERE datname = current_database() AND datconnlimit >= 0;
SELECT 'schema|' || coalesce(current_schema(), '');
SELECT 'may_create|' || has_schema_privilege(current_schema(), 'CREATE') WHERE current_schema() IS NOT NULL;
SELECT 'zone|' || count(*) FROM pg_timezone_names WHERE lower(name) = lower(:'zone');
SELECT 'foreign|' || relname FROM pg_class c WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'S')
AND pg_get_userbyid(relowner) <> current_user AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
ORDER BY relname LIMIT 5;
SELECT 'table|' || relname FROM pg_class c WHERE relnamespace = current_schema()::regnamespace
AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relname <> :'claim'
AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e') ORDER BY relname LIMIT 100;
SELECT to_regclass(:'claim') IS NOT NULL AS is_claimed, to_regclass('users') IS NOT NULL AS has_users \gset
\if :is_claimed
SELECT 'claim|' || gateway FROM :"claim";
\endif
\if :has_users
SELECT 'users|' || count(*) FROM users;
\endif
SQL
) || {
    printf 'refused|%s\n' "$(printf '%s\n' "$found" | grep -v '^[a-z_]*|' | sed 's/^psql:\(<stdin>:[0-9]*:\)\{0,1\} *\(error: *\)\{0,1\}//' | head -n 1)"
    exit 0
}
printf '%s\n' "$found"
echo end\|
