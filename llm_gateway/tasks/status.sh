# What status.py shows beyond what host_state.sh reads: in one round trip, and nothing is changed.
# Before this text stand answers.sh, carrier.sh, look.sh and: ROLES PROJECT DIRECTORY ADDRESS PORT (where the gateway is published now, or
# both empty) and USAGE, a script that answers a question to the gateway's log, for a page that shows the last two weeks.
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"


date +%s | emit now
tail -n 400 "/var/lib/$PROJECT/journal.jsonl" 2>/dev/null | emit journal
# A run that is at work: see host_state.sh, which writes the lock.
if { read -r holder since && read -r _ && read -r run; } 2>/dev/null < "/run/$PROJECT.lock" && look_at "$holder" && [ "$started" = "$since" ]; then
    printf '{"event": "at work", "run": "%s"}\n' "$run" | emit at_work
fi

case " $ROLES " in *" gateway "*)
    # What anyone may read of a gateway: its version, and that it answers.
    [ -z "$ADDRESS" ] || timeout 5 bash -c '
        exec 3<>"/dev/tcp/$1/$2" || exit
        printf "GET /api/status HTTP/1.0\r\nHost: gateway\r\n\r\n" >&3
        cat <&3
    ' status "$ADDRESS" "$PORT" 2>/dev/null | emit api_status
    # Names of ours alone: what a person puts there is no backup of ours.
    find -H "$DIRECTORY/backups" -maxdepth 1 -type f -name 'gateway-*Z.tar.gz' -printf '%f %s %T@\n' 2>/dev/null | sort | emit backups
    tail -n 288 "/var/lib/$PROJECT/canary.jsonl" 2>/dev/null | emit canary_results
    content migrated_to "$DIRECTORY/migrated-to"
    content migrating_from "$DIRECTORY/migrating-from"
    # The data may lie on a disk of their own, and a container cannot be made where Docker's is full.
    docker_places "$(docker_info)" | xargs -d '\n' df -Pk "$DIRECTORY" "$DIRECTORY/data" "$DIRECTORY/backups" 2>/dev/null | emit disks
    stat -c %s "$DIRECTORY/data/one-api.db" 2>/dev/null | emit database_bytes
    du -sk "$DIRECTORY/data/logs" 2>/dev/null | emit log_files
    # Where its bytes are, where that is not its own directory: name, whether it is there, file system, path.
    for name in data backups tiktoken; do
        [ -L "$DIRECTORY/$name" ] || mountpoint -q "$DIRECTORY/$name" 2>/dev/null || continue
        place=$(readlink -m "$DIRECTORY/$name")
        [ -d "$place" ] && there=yes || there=no
        printf '%s %s %s %s\n' "$name" "$there" "$(stat -f -c %T "$place" 2>/dev/null | grep . || echo -)" "$place"
    done | emit places
    # What start-gateway says of itself: what it waits for.
    systemctl show "$PROJECT.service" -p StatusText --value 2>/dev/null | emit unit_says
    if [ -n "$USAGE" ]; then
        cat "/var/lib/$PROJECT/canary-hours" 2>/dev/null | emit canary_hours
        # SD_MESSAGE_UNIT_FAILURE_RESULT (systemd.journal-fields(7)): the journal has an index of it.
        timeout 10 journalctl --quiet --no-pager --output=short-unix --since='-14 days' \
            UNIT="$PROJECT-backup.service" MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c 2>/dev/null | cut -d ' ' -f 1 | emit failed_backups
        (eval "$USAGE") | emit usage
    fi
esac
end
