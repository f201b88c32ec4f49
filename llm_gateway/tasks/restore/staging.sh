# A database on its way to the gateway: `incoming.partial` while it comes, `incoming` once it is whole and checked.
# Python appends the name of the function to run. Before this text stand: directory bytes (needed, for `begin`).
set -eu
umask 077
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
cd "$directory"

begin() {
    rm -rf incoming incoming.partial
    free=$(df -Pk . | awk 'NR == 2 { print $4 }')
    [ $((bytes / 1024)) -le "$free" ] || {
        echo "no room: it takes $((bytes / 1048576)) MiB in $directory, and $((free / 1024)) MiB are free" >&2
        exit 1
    }
    mkdir incoming.partial
}

belongings() { # the small files beside the database, a line each
    cd incoming.partial
    for name in *; do
        [ -f "$name" ] && [ ! -L "$name" ] || { echo "$name is not a file" >&2; exit 1; }
    done
    chown -R root:root .
    chmod 600 -- *
    for name in secrets.env applied-keys.json; do
        [ ! -f "$name" ] || printf '%s %s\n' "$name" "$(base64 -w0 < "$name")"
    done
    [ ! -f first-start-done ] || echo 'first-start-done -'
}

sums() {
    cd incoming.partial
    sha256sum -- *  .[!.]* 2> /dev/null || :
}

# Of a dump: whether it has the access token that comes on standard input; and the schemas that its tables are in.
tell_whether_dumped() { if grep -qF -f - incoming.partial/one-api.sql; then echo yes; fi; }
schemas() { sed -nE 's/^CREATE TABLE ([^. ]+)\..*/\1/p' incoming.partial/one-api.sql | tr -d '"' | sort -u; }

finish() { # what SQLite has taken into the database is not left beside it
    rm -f incoming.partial/one-api.db-*
    sync incoming.partial/*
    mv -T incoming.partial incoming
    sync .
}

clear() { rm -rf incoming incoming.partial; }
