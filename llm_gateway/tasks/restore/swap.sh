# Another database in place of a gateway's own, and the way back. Python appends the name of the function to run.
# Before this text stand: directory own_backups (files/own-backups) project unit timer was_active was_enabled (yes or no), and, with
# blanks between: inside and outside, the gateway's files, relative to the directory and by their paths; and state, what
# is not rendered, but belongs to the database.
set -eu
umask 077
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
cd "$directory"
# The database comes last: what belongs to another one may not lie beside it at any moment.
data='data/one-api.db-journal data/one-api.db-wal data/one-api.db-shm data/one-api.db'

look() { # how the gateway is, for the way back; and that what is replaced can be put aside in the end
    sh -c "$own_backups" own-backups "$directory"
    case $(systemctl show --property ActiveState --value "$unit" 2> /dev/null) in
        active | activating | reloading) echo was_active=yes ;;
        *) echo was_active=no ;;
    esac
    systemctl is-enabled --quiet "$unit" 2> /dev/null && echo was_enabled=yes || echo was_enabled=no
    # What an earlier run has kept and, cut off after its success, not put aside.
    [ ! -d replaced ] || put_aside
}

stop_all() { # whatever has the database open, or would open it
    for each in "$timer" "${timer%.timer}.service" "$unit"; do
        # One that is not there is stopped already.
        systemctl stop "$each" 2> /dev/null || ! systemctl is-active --quiet "$each"
    done
    for container in "$project" "$project-first-start"; do
        if docker container inspect "$container" > /dev/null 2>&1; then docker rm --force "$container" > /dev/null; fi
    done
}

keep() { # what is replaced goes to replaced/; `present` says what was there, so that all else is new
    rm -rf replaced.partial
    mkdir -p replaced.partial/data data
    for name in $data $inside $state $outside; do
        [ ! -e "$name" ] || echo "$name"
    done > replaced.partial/present
    for name in $inside $state $outside; do
        [ ! -e "$name" ] || cp -p "$name" "replaced.partial/${name##*/}"
    done
    sync
    mv -T replaced.partial replaced
    sync .
    for name in $data; do
        [ ! -e "$name" ] || mv -T "$name" "replaced/$name"
    done
}

place() { # what was staged
    mv -T incoming/one-api.db data/one-api.db
    for name in $state; do
        if [ -e "incoming/$name" ]; then
            mv -fT "incoming/$name" "$name"
        elif [ "$name" != secrets.env ]; then
            rm -f "$name" # it belongs to the old one
        fi
    done
    rm -rf incoming
    sync . data
}

start_timer() {
    if systemctl is-enabled --quiet "$timer" 2> /dev/null; then systemctl start --no-block "$timer"; fi
}

start() {
    systemctl daemon-reload
    systemctl reenable --quiet "$unit"
    systemctl restart "$unit"
    start_timer
}

put_back() { # the way back, from wherever it was left; it may be cut off and run again
    stop_all
    if [ -d replaced ]; then
        for name in $data; do
            if ! grep -qxF "$name" replaced/present; then
                rm -f "$name"
            elif [ -e "replaced/$name" ]; then
                mv -fT "replaced/$name" "$name"
            fi
        done
        # Moved, not copied: the disk may be full. What is not there any more was moved already.
        for name in $inside $state $outside; do
            kept=replaced/${name##*/}
            if ! grep -qxF "$name" replaced/present; then
                rm -f "$name"
            elif [ -e "$kept" ] && cmp -s "$kept" "$name"; then
                : # as it was, also where it is on another disk
            elif [ -e "$kept" ]; then
                mv -fT "$kept" "$name"
            fi
        done
        sync
        mv -T replaced replaced.undone
    fi
    rm -rf replaced.undone replaced.partial incoming incoming.partial
    systemctl daemon-reload
    if [ "$was_enabled" = yes ]; then
        systemctl enable --quiet "$unit"
    else
        systemctl disable --quiet "$unit" 2> /dev/null || :
    fi
    # Without waiting: at boot it starts only once this has ended.
    [ "$was_active" = no ] || systemctl start --no-block "$unit"
    start_timer
}

put_aside() { # what was replaced, once nobody needs it to go back; for root alone like all backups
    sh -c "$own_backups" own-backups "$directory"
    if [ -e replaced/data/one-api.db ]; then
        # An upgrade of what is replaced is no longer one that could be taken back here.
        for name in previous switching; do
            [ ! -d "$name" ] || mv -T "$name" "replaced/$name"
        done
        kept=backups/replaced-$(date -u +%Y%m%dT%H%M%SZ)
        [ ! -e "$kept" ] || kept=$kept-$$
        mv -T replaced "$kept"
        echo "kept=$directory/$kept"
    else
        rm -rf previous switching replaced # there was no database: nothing to go back to
    fi
    sync . backups
}
