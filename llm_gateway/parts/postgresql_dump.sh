# Functions that copy a gateway's PostgreSQL into its backups/, beside the gateway that serves. Before this text stand:
# directory (the gateway's) service (a file of libpq's services) partial (the copy that is made) claim (a table of ours).
dump() {
    set -e
    umask 077
    cd "$directory"
    rm -f "$partial"
    PGSERVICEFILE="$service" PGSERVICE=gateway pg_dump --no-password --format=custom --no-owner --no-acl \
        --exclude-table="$claim" --file="$partial"
    pg_restore --file=/dev/null "$partial" # it is read back as a whole
    sync "$partial"
    kept=${partial%.partial}-$(date -u +%Y%m%dT%H%M%SZ).dump
    mv -T "$partial" "$kept"
    echo "$PWD/$kept"
}
