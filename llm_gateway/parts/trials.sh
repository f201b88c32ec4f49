# Whether a new file, "$new", can be used in the place of the one that is in use.
try_script() {
    read -r shebang < "$new" && shebang=${shebang#??} &&
        { [ -x "${shebang%% *}" ] || { echo "there is no interpreter $shebang" | cat -A; false; }; } &&
        case "${shebang%% *}" in */sh | */bash) "${shebang%% *}" -n "$new" ;; esac
}

# What scripts read into themselves.
try_part_of_a_script() { sh -n "$new"; }

# A table of another name: the kernel refuses whoever does not hold the one that is in use, even with -c.
try_firewall_rules() {
    sed "s/inet openclaw_llm_gateway/&_probe/; s/flags owner, persist/flags dormant/" "$new" |
        PATH="$PATH:/usr/sbin:/sbin" nft -c -f -
}

try_compose_file() { docker compose --project-directory "$directory" --file "$new" config --quiet; }
