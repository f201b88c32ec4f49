# Reads what gateways a host has, also such as somebody has set up by hand, and changes nothing.
# Before this text stand: PROJECT, DIRECTORY (where a gateway is expected) and READ (the directory of the one that was
# chosen; empty while that is not known); and database-settings and old_gateway.sh.
# Each answer is one line: its name, a space, its bytes in base64.
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

unit() { systemctl show "$1" -p LoadState -p ActiveState -p UnitFileState -p WorkingDirectory 2>/dev/null; }

if [ -z "$READ" ]; then
    if command -v docker > /dev/null; then
        # Names and what is mounted at /data; the rest of an inspection holds other people's secrets.
        containers=$(docker ps --all --quiet --filter volume=/data 2>/dev/null)
        # shellcheck disable=SC2086 # IDs
        [ -z "$containers" ] || docker container inspect $containers --format \
            '{{.Name}} {{range .Mounts}}{{if eq .Destination "/data"}}{{.Source}}{{end}}{{end}}' |
            while read -r name place; do [ ! -s "$place/one-api.db" ] || echo "${name#/} $place"; done | emit gateways
    fi
    [ ! -s "$DIRECTORY/data/one-api.db" ] || echo "$DIRECTORY/data" | emit expected
    unit "$PROJECT.service" | emit unit
    if command -v sqlite3 > /dev/null; then echo yes | emit tool; fi
else
    content secrets "$READ/secrets.env"
    content next_secrets "$READ/secrets.env.next"
    content applied_keys "$READ/applied-keys.json"
    content first_start_done "$READ/first-start-done"
    content migrated_to "$READ/migrated-to"
    unit "$PROJECT-backup.timer" | emit timer
    if [ -n "$CONTAINER" ]; then old_gateway "$CONTAINER"; else compose_settings "$READ"; fi
    variable_names "$DATA/.env" | emit data_environment
    database_settings "$DATA" ${CONTAINER:+"$CONTAINER"} | emit data_settings
    stat -c '%s' "$DATA/one-api.db" 2>/dev/null | emit database_size
    # An empty .env is made by Docker, to mount what One API reads there.
    find "$DATA" -mindepth 1 -maxdepth 1 ! -name one-api.db ! -name 'one-api.db-*' ! \( -name .env -size 0 \) -printf '%f\n' 2>/dev/null |
        emit strangers
fi
end
