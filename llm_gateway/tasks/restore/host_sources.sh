# What a host has to restore from. Python appends the name of the function to run.
# Before this text stand: source, and for `copy` target.
set -eu
umask 077
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

names() { # of the backups in a directory
    [ ! -d "$source" ] || find -H "$source" -mindepth 1 -maxdepth 1 \
        \( -type f -name 'gateway-*.tar.gz' -o -type d \( -name 'replaced-*' -o -name 'other-image-*' \) \) -printf '%f\n'
}

list() { # the members of an archive, and its manifest; nothing is unpacked
    listing=$(tar --quoting-style=escape --numeric-owner --full-time -tvzf "$source")
    printf '%s\n' "$listing" | sed 's/^/entry /'
    case $listing in *' manifest.json'*) ;; *) return 0 ;; esac
    # Its first part is enough, and tar is told so: it would read to the end.
    content=$(tar -xzOf "$source" --occurrence=1 manifest.json | head -c 1000000 | base64 -w0)
    printf 'manifest %s\n' "$content"
}

sums() { # the SHA-256 of each member, read and not unpacked
    # shellcheck disable=SC2016 # tar's shell expands it
    tar -xzf "$source" --to-command='printf "%s " "$TAR_REALNAME"; sha256sum'
}

database() { # the directory that it is in: what a switch to another image has kept is a database alone
    for place in "$source" "$source/data"; do
        if [ -f "$place/one-api.db" ] || [ -f "$place/one-api.sql" ]; then echo "$place" && return; fi
    done
    echo "there is no data/one-api.db in $source" >&2
    exit 1
}

size() { # where the database is, and of what `copy` copies, in bytes
    place=$(database)
    echo "$place"
    du -sb "$place" | cut -f 1
}

copy() {
    place=$(database)
    for name in one-api.db one-api.db-journal one-api.db-wal one-api.sql; do
        [ ! -f "$place/$name" ] || [ -L "$place/$name" ] || cp "$place/$name" "$target/"
    done
    [ -f "$source/secrets.env" ] || return 0
    for name in secrets.env applied-keys.json first-start-done; do
        [ ! -f "$source/$name" ] || cp "$source/$name" "$target/"
    done
}
