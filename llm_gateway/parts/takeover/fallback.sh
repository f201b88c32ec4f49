# Gives back what served before a gateway was taken over, with all that belongs to it, as it was. It may be cut off at
# any point, and run again. Before this text stand: unit new_unit (its file; "": it was there) new_files project kept
# directory uid copies noted (of the directory) noted_compose noted_env, and of the container: name ("": there was
# none) policy was_running.
set -eu
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
is_there() { docker container inspect "$1" > /dev/null 2>&1; }
as_noted() { # NOTE PATH
    { read -r mode owner < "$1"; } 2> /dev/null && [ "$mode" != none ] || return 0
    chown "$owner" "$2" && chmod "$mode" "$2"
}
is_ours() { head -n 1 "$1" 2> /dev/null | grep -q '^# Made by the deployment'; }

systemctl disable --quiet --now "$unit" 2> /dev/null || :
if [ -n "$new_unit" ]; then # it would tell of a gateway of ours
    rm -f "$new_unit"
    systemctl daemon-reload
fi
cd "$directory"
rm -f first-start-done
if command -v docker > /dev/null; then
    docker version > /dev/null # at a boot it may not run yet: then this is tried again
    ! is_there "$project-first-start" || docker rm --force "$project-first-start" > /dev/null
    # One of that name is the old one as long as that was not renamed.
    if is_there "$kept" || [ "$name" != "$project" ]; then ! is_there "$project" || docker rm --force "$project" > /dev/null; fi
    if [ -n "$name" ] && is_there "$kept"; then docker rename "$kept" "$name"; fi
    docker network rm "${project}_gateway" "${project}-first-start_unreachable" > /dev/null 2>&1 || :
fi

if [ -d "$copies" ]; then # else nobody has touched the data
    rm -f data/one-api.db-wal data/one-api.db-shm data/one-api.db-journal
    for file in "$copies"/one-api.db*; do
        cp --remove-destination "$file" "data/${file##*/}.llmgw-back"
        sync "data/${file##*/}.llmgw-back"
        mv -fT "data/${file##*/}.llmgw-back" "data/${file##*/}"
    done
    read -r mode owner < "$copies/of-database"
    find -P data/. -xdev -uid "$uid" -execdir chown -h "$owner" {} +
    for file in "$copies"/one-api.db*; do chown "$owner" "data/${file##*/}" && chmod "$mode" "data/${file##*/}"; done
    read -r mode owner < "$copies/of-data"
    chown "$owner" data/. && chmod "$mode" data/.
fi
for file in docker-compose.yml .env; do
    is_ours "$file" || continue
    if [ -f "backups/taken-over-files/$file" ]; then
        cp "backups/taken-over-files/$file" "$file.llmgw-back"
        case $file in .env) as_noted "$noted_env" "$file.llmgw-back" ;; *) as_noted "$noted_compose" "$file.llmgw-back" ;; esac
        mv -fT "$file.llmgw-back" "$file"
    else
        rm -f "$file"
    fi
done
# shellcheck disable=SC2086 # names without blanks
rm -f $new_files
as_noted "$noted" .
sync .
if [ -n "$name" ] && is_there "$name"; then
    docker update --restart="$policy" "$name" > /dev/null
    [ "$was_running" != yes ] || docker start "$name" > /dev/null
fi
rm -rf "$copies"
