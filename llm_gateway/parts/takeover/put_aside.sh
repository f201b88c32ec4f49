# Stops what holds a gateway's database. A container of our own is removed: the unit makes it again. One that a person started is
# renamed and kept, and may not come back by itself at the next boot. Before this text stand: unit project kept
# container_environment name ("": none that a person started) directory copies.
mounts() { docker container inspect "$1" --format '{{range .Mounts}}{{println .Source}}{{end}}' 2> /dev/null; }

put_aside() {
    systemctl disable --quiet --now "$unit" 2> /dev/null || :
    case $(mounts "$project") in *"$container_environment"*) docker rm --force "$project" > /dev/null || return ;; esac
    if [ -z "$name" ] || ! docker container inspect "$name" > /dev/null 2>&1; then return 0; fi
    docker update --restart=no "$name" > /dev/null && docker stop --time 10 "$name" > /dev/null || return
    docker rm --force "$kept" > /dev/null 2>&1 || :
    docker rename "$name" "$kept"
}

# The database, whom it belongs to, and whom data/ does, in a directory that is not there yet: once it is, it is whole. The
# journal belongs to the database: without it a copy of a killed server's file is not whole.
keep_data() (
    umask 077
    cd "$directory" && rm -rf "$copies.new" && mkdir "$copies.new" &&
        cp -d --preserve=timestamps data/one-api.db* "$copies.new/" &&
        stat -L -c '%a %u:%g' data/one-api.db > "$copies.new/of-database" &&
        stat -L -c '%a %u:%g' data > "$copies.new/of-data" && sync "$copies.new"/* && mv -T "$copies.new" "$copies"
)
