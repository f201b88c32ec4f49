# Others in the place of a gateway's data, image or both, and the way back. Python appends the name of the function to run.
# Before this text stand: service (of a PostgreSQL, the file that leads psql there; else "") claim directory project unit timer own_backups (files/own-backups) purpose source (words) aside (a
# name below backups/ for the data that the new one has used, where they are given back; "": nowhere) replaces (yes: by
# the data in incoming/; no: they stay, for another image), paths and names without blanks: files (what the gateway runs
# by and what belongs to its data) belongings (of those, what data bring along or lose) half_ends (of names of files) half_placed (of earlier versions); of the
# images, "" where it stays the same: old_id old_name new_id new_name kept_tag kept_name next_name; for place is_safe
# (yes or no: to be published as it is); and for undo was_active was_enabled (yes or no).
set -eu
umask 077
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
cd "$directory"
# The database comes last: what belongs to another one may not lie beside it at any moment.
data='data/one-api.db-journal data/one-api.db-wal data/one-api.db-shm data/one-api.db'
[ -z "$service" ] || data=data/one-api.sql # what is kept of a PostgreSQL, and put back

is_unfinished() { [ -d "/var/lib/$project/unfinished" ] || [ -d "/var/lib/$project/undoing" ]; }

schema() { # FILE: in words that are equal where it is; of use on one host and at one time
    if command -v sqlite3 > /dev/null; then
        sqlite3 -init /dev/null -cmd 'PRAGMA ignore_check_constraints=ON' -bail -batch -noheader -list -cmd '.timeout 15000' "$1" "$SCHEMA"
    else
        python3 -c 'import sqlite3, sys
for row in sqlite3.connect(sys.argv[1], timeout=15).execute(sys.argv[2]):
    print(*row, sep="|")' "$1" "$SCHEMA"
    fi
}
SCHEMA="SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
is_same_schema() { now=$(schema "$1") && before=$(schema "$2") && [ "$now" = "$before" ]; }

# Of a PostgreSQL. Each change is one transaction: all of it is there, or nothing.
# The guard's unit, which undoes, has no network: systemd starts what needs it. What the run has left at work is known by the last
# variable, and ended (see undo-unfinished).
in_network() {
    systemd-run --quiet --collect --wait --pipe --service-type=exec --property=UMask=0077 --setenv=PGSERVICEFILE="$service" \
        --setenv=PGSERVICE=gateway --setenv=PGAPPNAME="$project" --setenv=PGOPTIONS='-c client_min_messages=error' \
        --setenv=OPENCLAW_LLM_GATEWAY_UNFINISHED="${OPENCLAW_LLM_GATEWAY_UNFINISHED:-}" -- "$@"
}
psql_here() { in_network psql -XqAt -v ON_ERROR_STOP=1 -v VERBOSITY=terse; }
await_postgresql() { # after a boot it may come later than this
    tries=0
    until words=$(echo 'SELECT 1;' | psql_here 2>&1); do
        [ $((tries += 1)) -le 60 ] || { printf '%s\n' "$words" >&2; return 1; }
        sleep 5
    done
}
has_tables() { [ "$(echo "SELECT to_regclass('users') IS NOT NULL;" | psql_here)" = t ]; }
dump() { # FILE
    tables=$(echo 'SELECT current_schema();' | psql_here) || return
    in_network pg_dump --no-password --no-owner --no-acl --table="\"$tables\".*" --exclude-table="$claim" > "$1" < /dev/null
}
load() { # [FILE]: in the place of all tables; nothing, where none is named
    await_postgresql
    # What breaks off before the last line was not committed.
    loaded=$({
        echo 'BEGIN;'
        # shellcheck disable=SC2016 # quotes of PostgreSQL
        printf 'DO $do$ DECLARE each record; BEGIN FOR each IN SELECT oid::regclass AS name FROM pg_class WHERE relkind IN (%s)
            AND relnamespace = current_schema()::regnamespace AND relname <> %s AND pg_get_userbyid(relowner) = current_user
            LOOP EXECUTE format(%s, each.name); END LOOP; END $do$;\n' "'r', 'p'" "'$claim'" "'DROP TABLE %s CASCADE'"
        [ -z "${1:-}" ] || cat "$1"
        echo 'COMMIT;'
        echo "SELECT 'loaded';"
    } | psql_here | tail -n 1)
    [ "$loaded" = loaded ]
}
shape() { # FILE: a dump without its rows
    awk 'inside { if ($0 == "\\.") inside = 0; next } /^COPY / { inside = 1; next }
        /^--|^\\|^SELECT pg_catalog.setval/ { next } { print }' "$1"
}

# FROM TO: a file, in one step where both lie on one disk; else whole, and on its disk, before FROM goes. Where that has no room, the
# copy takes the one of what was there.
move() {
    if [ "$(stat -L -c %d "${1%/*}")" = "$(stat -L -c %d "${2%/*}")" ]; then
        mv -fT "$1" "$2"
        return
    fi
    copy "$1" "$2.new" || { rm -f "$2" "$2.new" && copy "$1" "$2.new"; } || return
    mv -fT "$2.new" "$2" && sync "${2%/*}" && rm -f "$1"
}
copy() { cp -dp "$1" "$2" && sync "$2"; }

move_to_backups() { # DIRECTORY NAME: as a whole or not at all, also on another disk
    if [ "$(stat -L -c %d backups)" = "$(stat -L -c %d "$1")" ]; then
        mv -T "$1" "backups/$2"
        return
    fi
    if [ ! -d "backups/$2" ]; then
        rm -rf "backups/$2.new"
        cp -R -d --preserve=timestamps "$1" "backups/$2.new" # without owners, which there may not be there
        sync
        mv -T "backups/$2.new" "backups/$2"
        sync
    fi
    rm -rf "$1"
}

tag() { # ID NAME; a digest is no name that could be given
    case $2 in '' | *@* | sha256:*) ;; *) docker image tag "$1" "$2" ;; esac
}

look() { # how the gateway is, for the way back; and that what is replaced can be kept in the end
    settle
    sh -c "$own_backups" own-backups "$directory"
    # Only one that somebody has stopped is left so: one that has failed is meant to run.
    case $(systemctl show --property ActiveState --value "$unit" 2> /dev/null) in '' | inactive | deactivating) active=no ;; *) active=yes ;; esac
    [ "$(docker container inspect "$project" --format '{{.State.Running}}' 2> /dev/null)" != true ] || active=yes
    echo "was_active=$active"
    systemctl is-enabled --quiet "$unit" 2> /dev/null && echo was_enabled=yes || echo was_enabled=no
}

keep() { # the files and the image's ID; `present` says what was there, so that all else is new
    rm -rf switching switching.new
    mkdir switching.new switching.new/files
    for path in $files; do
        if [ -e "$path" ]; then
            cp -p "$path" switching.new/files/
            echo "$path"
        fi
    done > switching.new/present
    printf '%s\n' "$purpose" > switching.new/purpose
    if [ -n "$old_id" ]; then
        docker image tag "$old_id" "$kept_tag"
        printf '%s\n' "$old_id" "$old_name" "$source" "$(date -u '+%Y-%m-%d %H:%M UTC')" > switching.new/image
    fi
    sync
    mv -T switching.new switching
    sync .
}

stop_all() { # whatever has the database open, or would open it
    for each in "$timer" "${timer%.timer}.service" "$unit"; do
        # One that is not there is stopped already.
        systemctl stop "$each" 2> /dev/null || { ! systemctl is-active --quiet "$each" || exit 1; }
    done
    for container in "$project" "$project-first-start"; do
        if docker container inspect "$container" > /dev/null 2>&1; then docker rm --force "$container" > /dev/null; fi
    done
}

stop() { # and keep the data: a copy of those that stay, else themselves; `held` says what there was, once that is safe
    stop_all
    mkdir -p data switching/data
    : > switching/held.new
    if [ -n "$service" ]; then
        if has_tables; then
            dump "switching/$data"
            echo "$data" > switching/held.new
        fi
    else
        [ "$replaces" = yes ] || cp -dp --reflink=auto data/one-api.db* switching/data/
        for name in $data; do
            [ ! -e "$name" ] || echo "$name"
        done > switching/held.new
    fi
    [ "$replaces" = no ] || [ -z "$aside" ] || printf '%s\n' "$aside" > switching/newer
    sync
    mv -T switching/held.new switching/held
    sync switching
    if [ "$replaces" = yes ]; then
        for name in $data; do
            [ ! -e "$name" ] || move "$name" "switching/$name"
        done
    fi
}

place() { # what was staged, and the image's name
    # Without it start-gateway starts nothing, also where an undo never comes: until the first start has made it safe.
    if [ "$is_safe" = no ]; then
        rm -f first-start-done incoming/first-start-done
        sync .
    fi
    if [ "$replaces" = yes ]; then
        if [ -n "$service" ]; then
            load incoming/one-api.sql
        else
            for name in one-api.db-journal one-api.db-wal; do
                [ ! -e "incoming/$name" ] || move "incoming/$name" "data/$name"
            done
            move incoming/one-api.db data/one-api.db
        fi
        for name in $belongings; do
            if [ -e "incoming/$name" ]; then
                mv -fT "incoming/$name" "$name"
            elif [ "$name" != secrets.env ]; then
                rm -f "$name" # it belongs to the old data
            fi
        done
        rm -rf incoming
        sync . data
    fi
    tag "$new_id" "$new_name"
}

start_timer() {
    if systemctl is-enabled --quiet "$timer" 2> /dev/null; then systemctl start --no-block "$timer"; fi
}

start() {
    systemctl daemon-reload
    systemctl reset-failed "$unit" 2> /dev/null || : # with how often the one before was started again
    systemctl reenable --quiet "$unit"
    systemctl restart "$unit"
    start_timer
}

give_postgresql_back() {
    await_postgresql
    if [ "$replaces" = no ]; then
        dump switching/now.sql
        [ "$(shape switching/now.sql)" != "$(shape "switching/$data")" ] || return 0
    fi
    if [ -n "$aside" ] && [ ! -d "backups/$aside" ] && has_tables; then
        rm -rf "backups/$aside.new"
        mkdir -p "backups/$aside.new"
        dump "backups/$aside.new/one-api.sql"
        sync
        mv -T "backups/$aside.new" "backups/$aside"
    fi
    if grep -qxF "$data" switching/held; then load "switching/$data"; else load; fi
}

note_kept() { # to look at the data that are kept, SQLite may have taken in what lay beside them
    for name in $data; do
        [ ! -e "switching/$name" ] || echo "$name"
    done > switching/held.new
    sync switching/held.new
    mv -T switching/held.new switching/held
    sync switching
}

give_data_back() { # moved, not copied: the disk may be full
    [ -e switching/held ] || return 0
    if [ -n "$service" ]; then
        give_postgresql_back
        return
    fi
    if [ "$replaces" = no ] && [ ! -e switching/back ]; then
        # As long as the schema is the old one's, the data stay as they are, with all that was written meanwhile.
        ! is_same_schema data/one-api.db switching/data/one-api.db || return 0
        note_kept
        : > switching/back
        sync switching
    fi
    # Until it was moved, what is in its place is the new one's.
    if [ -n "$aside" ] && [ ! -d "backups/$aside" ] && [ -e data/one-api.db ] && [ -e switching/data/one-api.db ]; then
        rm -rf "backups/$aside.new"
        mkdir -p "backups/$aside.new"
        # Without owners: backups/ may lie where there are none.
        cp -d --preserve=timestamps --reflink=auto data/one-api.db* "backups/$aside.new/"
        sync
        mv -T "backups/$aside.new" "backups/$aside"
    fi
    for name in $data; do
        if ! grep -qxF "$name" switching/held; then
            rm -f "$name"
        elif [ -e "switching/$name" ]; then
            move "switching/$name" "$name"
        fi
    done
}

undo() { # from wherever it was left; it may be cut off and run again
    # Kept as a whole before anything is stopped: where it is not there, nothing was changed, or all is as it was.
    if [ -d switching ]; then
        stop_all
        for path in $files; do
            kept=switching/files/${path##*/}
            if ! grep -qxF "$path" switching/present; then
                rm -f "$path"
            elif [ -e "$kept" ] && ! cmp -s "$kept" "$path"; then
                # A copy, which is on the disk before it takes its place; where there is no room for one, the kept file.
                { cp -p "$kept" "$path.restored" && sync "$path.restored" && mv -fT "$path.restored" "$path"; } ||
                    { rm -f "$path.restored" && mv -fT "$kept" "$path"; }
            fi
        done
        tag "$old_id" "$old_name"
        give_data_back
        sync
        mv -T switching switching.undone
    fi
    rm -rf switching.undone switching.new
    [ "$replaces" = no ] || rm -rf incoming incoming.partial
    systemctl daemon-reload
    if [ "$was_enabled" = yes ]; then
        systemctl reenable --quiet "$unit"
    else
        systemctl disable --quiet "$unit" 2> /dev/null || :
    fi
    # Not waited for: at a boot it starts only once this has ended, and its address may come later.
    [ "$was_active" = no ] || systemctl start --no-block "$unit"
    start_timer
}

settle() { # for what a swap that stays has kept, also where its run did not come to that
    ! is_unfinished || return 0
    if [ -d switching ]; then
        case $(cat switching/purpose || :) in
            upgrade)
                rm -rf previous
                mv -T switching previous
                ;;
            rollback)
                rm -rf previous
                # Where it went back to older data, the newer ones are kept.
                if [ -e switching/newer ] && [ -d switching/data ]; then
                    mkdir -p backups
                    move_to_backups switching/data "$(cat switching/newer)"
                fi
                rm -rf switching
                ;;
            restore | migration)
                if [ -d switching/files ]; then
                    find switching/files -mindepth 1 -exec mv -f -t switching {} +
                    rmdir switching/files
                fi
                mv -T switching replaced
                ;;
            *) rm -rf switching ;; # the same image by another name: what an upgrade has left stays
        esac
    fi
    [ ! -d replaced ] || put_aside # by earlier versions, too
    for path in $files; do
        for end in $half_ends; do rm -f "$path$end"; done
    done
    # shellcheck disable=SC2086 # names without blanks
    rm -f $half_placed
    rmdir data/older 2> /dev/null || :
    sync .
}

put_aside() { # data that were replaced go to the backups, for root alone like those
    sh -c "$own_backups" own-backups "$directory"
    if [ -e replaced/data/one-api.db ] || [ -e replaced/data/one-api.sql ]; then
        # An upgrade of what is replaced is no longer one that could be taken back here.
        [ ! -d previous ] || mv -T previous replaced/previous
        if [ ! -s replaced/name ]; then # the same one where this is cut off
            kept=replaced-$(date -u +%Y%m%dT%H%M%SZ)
            [ ! -e "backups/$kept" ] || kept=$kept-$$
            printf '%s\n' "$kept" > replaced/name.new
            sync replaced/name.new
            mv -T replaced/name.new replaced/name
        fi
        kept=$(cat replaced/name)
        move_to_backups replaced "$kept"
        echo "kept=$directory/backups/$kept"
    else
        rm -rf previous replaced # there was no database: nothing to go back to
    fi
    sync . backups
}



discard_images() { # and archives, that are not needed any more: while one is tried, its only name may be such
    ! is_unfinished || return 0
    # Archives of images that are gone, and would not be served again.
    previous=$([ ! -f previous/image ] || head -n 1 previous/image)
    for archive in images/*.tar; do
        id=${archive#images/} id=${id%.tar}
        case $id in *[!0-9a-f]*) continue ;; ????????????) ;; *) continue ;; esac # a person's own
        case "$(cat images/served 2> /dev/null) $previous" in *"sha256:$id"*) continue ;; esac
        docker image inspect "$id" > /dev/null 2>&1 || rm -f "$archive"
    done
    # Names of images that nothing here needs any more; an image goes with its last name.
    id=${previous#sha256:}
    for name in "$kept_name" "$next_name"; do
        docker image ls "$name" --format '{{.Repository}}:{{.Tag}}' | while read -r name; do
            [ "$name" = "$kept_name:$(printf %.12s "$id")" ] || docker image rm "$name" > /dev/null
        done
    done
}

look_back() { # what there is to go back to; changes nothing
    from=previous
    # A run that was cut off between its commit and its end.
    if [ -d switching ] && ! is_unfinished; then
        [ "$(cat switching/purpose)" = upgrade ] || return 0
        from=switching
    fi
    [ -f "$from/image" ] || return 0
    echo "$from"
    cat "$from/image"
    id=$(head -n 1 "$from/image")
    docker image inspect "$id" > /dev/null 2>&1 && echo there || echo gone
    if [ ! -f "$from/data/one-api.db" ] || is_same_schema data/one-api.db "$from/data/one-api.db"; then
        echo same
    else
        echo other
    fi
}

discard_staged() { rm -rf incoming incoming.partial; }

# Of a trial whose container is stopped, until its end; then, with the keys that belong to it, to take the gateway's place.
keep_copy() {
    mkdir trial/kept
    cp -dp --reflink=auto trial/data/one-api.db* trial/kept/
}
stage_copy() {
    rm -rf incoming incoming.partial
    mv -T trial/kept incoming.partial
    for name in $belongings; do
        [ ! -f "$name" ] || cp -p "$name" incoming.partial/
    done
    sync
    mv -T incoming.partial incoming
}

stage_previous() { # the data of the last upgrade, to go back to, with the keys that belong to them
    rm -rf incoming incoming.partial
    mkdir incoming.partial
    cp -dp --reflink=auto previous/data/one-api.db* incoming.partial/
    rm -f incoming.partial/one-api.db-shm
    for name in $belongings; do
        [ ! -f "previous/files/$name" ] || cp -p "previous/files/$name" incoming.partial/
    done
    cp -p first-start-done incoming.partial/ # what has served was safe
    sync
    mv -T incoming.partial incoming
}
