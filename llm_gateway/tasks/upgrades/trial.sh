# Lays a copy of the gateway out beside it, unpublished, and starts it: the database out of a backup, the compose file from
# standard input, in base64.
# Before this text stand: SERVICE (of a PostgreSQL, the file that leads psql there; else "") SCHEMA (for its copy) COPIES (how many of the database there have to be room for) DIRECTORY SOURCE (the path of the backup, or of a directory that holds one-api.db) OWN (the
# command that gives trial/data to the user of One API) LIMIT (the one that sets what the compose file takes for `cpus`).
set -eu
umask 077
cd "$DIRECTORY"
# A PostgreSQL is copied into a schema of its own beside the gateway's tables, which the image on trial is told to look in.
copy_into_schema() {
    schema=$(echo 'SELECT current_schema();' | psql_here)
    loaded=$({
        echo "DROP SCHEMA IF EXISTS $SCHEMA CASCADE; BEGIN; CREATE SCHEMA $SCHEMA;"
        tar -xzOf "$SOURCE" one-api.sql | awk -v from="${schema}[.]" -v to="$SCHEMA." '
            inside { if ($0 == "\\.") inside = 0; print; next }
            /^COPY / { inside = 1 }
            { gsub(from, to); print }'
        echo "COMMIT; SELECT 'loaded';"
    } | psql_here | tail -n 1)
    [ "$loaded" = loaded ]
    mkdir -m 700 trial trial/data
    {
        [ ! -e data/.env ] || cat data/.env
        echo
        sed -n "/^SESSION_SECRET=/p; /^SQL_DSN=/s/\$/\&search_path=$SCHEMA/p" .env
    } > trial/data/.env
}
psql_here() { PGSERVICEFILE=$SERVICE PGSERVICE=gateway PGOPTIONS='-c client_min_messages=error' psql -XqAt -v ON_ERROR_STOP=1 -v VERBOSITY=terse; }
copy_file() {
    bytes=$(stat -c %s data/one-api.db)
    free=$(df -Pk . | awk 'NR == 2 { print $4 }')
    if [ $((COPIES * bytes / 1024 + 65536)) -gt "$free" ]; then
        echo "no room for $COPIES copies of the database: they take $((COPIES * bytes / 1048576 + 64)) MiB in $DIRECTORY, and $((free / 1024))" \
            "MiB are free: make room there (du -xh --max-depth=2 / | sort -h | tail)" >&2
        exit 1
    fi
    mkdir -m 700 trial trial/data
    if [ -d "$SOURCE" ]; then
        cp -dp --reflink=auto "$SOURCE"/one-api.db* trial/data/
    else
        tar -xzf "$SOURCE" -C trial/data --no-same-owner --no-same-permissions one-api.db
    fi
    [ ! -e data/.env ] || cp -p data/.env trial/data/.env # One API reads it as well
}
if [ -n "$SERVICE" ]; then copy_into_schema; else copy_file; fi
sh -c "$OWN"
ln -s ../tiktoken trial/tiktoken
base64 -d > trial/docker-compose.yml
eval "$LIMIT"
docker compose --project-directory trial --file trial/docker-compose.yml --env-file .env up --detach
