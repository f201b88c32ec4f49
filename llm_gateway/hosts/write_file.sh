# Puts a file in place at once: whole, with its mode and owner, or not at all. Standard input: the number of bytes, then the
# bytes in base64. Before this text stand: path parent (mode of a parent directory that has to be made) owner mode pattern
# (of a new file beside it) refused (what is said where that cannot be used) and try_new, which says by its exit code, and in
# words, whether "$new" can be.
# shellcheck disable=SC2174 # the mode is meant for that one alone
directory=$(dirname "$path") && (umask 022 && mkdir -p -m "$parent" "$directory") && umask 077 &&
    new=$(mktemp "$pattern") &&
    trap 'rm -f "$new"' EXIT && trap 'exit 1' HUP INT TERM &&
    read -r size && base64 -d > "$new" && [ "$(wc -c < "$new")" = "$size" ] &&
    { try_new >&2 || { echo "$refused" >&2; exit 1; }; } &&
    chown "$owner" "$new" && chmod "$mode" "$new" && sync "$new" && mv -fT "$new" "$path"
