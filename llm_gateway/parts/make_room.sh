# The gateway's directories, and what a gateway of before has there. Before this text stand: directory keys (the file with the keys of
# channels) taken_over (a directory) theirs (files that a gateway of a person's has, too) close ("yes": its data are ours).
make_directories() {
    mkdir -p "$directory/data" "$directory/tiktoken" && cd "$directory" &&
        chown root:root . tiktoken && chmod go-w . tiktoken && { [ "$close" != yes ] || chmod 700 data; } &&
        { [ ! -e "$keys" ] || { chown root:root "$keys" && chmod 600 "$keys"; }; }
}

keep_files() (
    umask 077
    cd "$directory" && mkdir -p "$taken_over" || exit
    for file in $theirs; do
        if [ -f "$file" ] && ! head -n 1 "$file" | grep -q '^# Made by the deployment'; then cp "$file" "$taken_over/" || exit; fi
    done
)
