# Functions for root that note, once, how a path is before the deployment writes there. They read no standard input.
# NOTE is a file in a directory of ours that only root reads.
note_before() ( # PATH NOTE: mode and owner ("none": nothing is there), the nearest directory that is there, the path
    umask 077
    [ -e "$2" ] || {
        make_notes "${2%/*}" && near=$(dirname "$1")
        while [ ! -d "$near" ]; do near=$(dirname "$near"); done
        { stat -L -c '%a %u:%g' "$1" 2> /dev/null || echo none; printf '%s\n' "$near" "$1"; } > "$2.new" &&
            sync "$2.new" && mv -fT "$2.new" "$2"
    }
)

keep_before() ( # PATH NOTE COPY: the copy first, so that a note without one says that nothing was there
    umask 077
    { [ -e "$2" ] || [ ! -f "$1" ] || { make_notes "${2%/*}" && cp "$1" "$3" && sync "$3"; }; } && note_before "$1" "$2"
)

# shellcheck disable=SC2174 # the mode is meant for that one alone
make_notes() { mkdir -p -m 755 "${1%/*}" && mkdir -p "$1"; } # DIRECTORY
