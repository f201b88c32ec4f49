# What is known of a gateway that somebody else has set up, before it is stopped. Each answer as host_state.sh has it.
listening_ports() { # PID: the TCP ports that its container's processes listen on, by what the kernel says
    space=$(readlink "/proc/$1/ns/pid" | tr -cd 0-9)
    [ -n "$space" ] || return 0
    find /proc/[0-9]*/ns/pid -maxdepth 0 -lname "pid:\\[$space\\]" 2>/dev/null | cut -d / -f 3 | while read -r each; do
        find "/proc/$each/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -cd '0-9\n'
    done | awk '
        FILENAME == "-" { held[$1]; next }
        $4 == "0A" && $10 in held { sub(/.*:/, "", $2); print $2 }
    ' - "/proc/$1/net/tcp" "/proc/$1/net/tcp6" 2>/dev/null | sort -u | while read -r hex; do echo "$((0x$hex))"; done
}
old_gateway() { # CONTAINER
    config='{"Image":{{json .Config.Image}},"Labels":{{json .Config.Labels}}}'
    host='{"RestartPolicy":{{json .HostConfig.RestartPolicy}},"PortBindings":{{json .HostConfig.PortBindings}},'
    host=$host'"NetworkMode":{{json .HostConfig.NetworkMode}},"ExtraHosts":{{json .HostConfig.ExtraHosts}}}'
    network='{"Ports":{{json .NetworkSettings.Ports}},"Networks":{{json .NetworkSettings.Networks}}}'
    parts='"Name":{{json .Name}},"Args":{{json .Args}},"State":{"Running":{{json .State.Running}}},"Mounts":{{json .Mounts}}'
    docker container inspect "$1" --format \
        "{$parts,\"Config\":$config,\"HostConfig\":$host,\"NetworkSettings\":$network}" 2>/dev/null | emit old_container
    # What the image sets is not told; nor is what may be a secret, of which the name alone leaves the host.
    image=$(docker container inspect "$1" --format '{{.Image}}' 2>/dev/null)
    {
        docker image inspect "$image" --format '{{range .Config.Env}}image {{println .}}{{end}}'
        docker container inspect "$1" --format '{{range .Config.Env}}given {{println .}}{{end}}'
    } 2>/dev/null | awk '
        { line = substr($0, 7) }
        /^image / { known[line]; next }
        /^given [A-Za-z_][A-Za-z0-9_]*=/ && !(line in known) { print line }
    ' | hide_secrets | emit old_environment
    process=$(docker container inspect "$1" --format '{{.State.Pid}}' 2>/dev/null)
    [ "${process:-0}" = 0 ] || listening_ports "$process" | emit old_ports
    # What its names lead to, also where it was told host-gateway.
    cat "$(docker container inspect "$1" --format '{{.HostsPath}}' 2>/dev/null)" 2>/dev/null | emit old_hosts
}
# The settings of a gateway that has no container now, as Compose reads them from its files in a directory: of the
# service that has something at /data. Where it cannot, what says so.
compose_settings() { # DIRECTORY
    file=$(cd "$1" && ls compose.yaml compose.yml docker-compose.yml docker-compose.yaml 2>/dev/null | head -n 1)
    [ -n "$file" ] && ! head -n 1 "$1/$file" | grep -q '^# Made by the deployment' || return 0
    printf '%s\n' "$file" | emit old_compose_file
    ip -4 -o addr show dev docker0 2>/dev/null | sed -n 's/.* inet \([0-9.]*\).*/\1 host-gateway/p' | emit old_hosts
    read_by_compose=$(cd "$1" && docker compose config 2>&1) || return 0
    printf '%s\n' "$read_by_compose" | awk -v file="$file" -v quote="'" '
        function end_service() { if (has_data && !found) { found = 1; print file; printf "%s", told }; told = ""; has_data = 0 }
        /^[a-z]/ { end_service(); in_services = ($0 == "services:") }
        !in_services { next }
        /^  [^ ]/ { end_service() }
        /^    [^ ]/ { section = $1 }
        /^        target: \/data$/ { has_data = 1 }
        section == "environment:" && /^      [A-Za-z_][A-Za-z0-9_]*: / {
            line = substr($0, 7); name = line; sub(/: .*/, "", name); sub(/^[^:]*: /, "", line)
            if (line ~ "^" quote) { line = substr(line, 2, length(line) - 2); gsub(quote quote, quote, line) }
            else if (line ~ /^"/) { line = substr(line, 2, length(line) - 2); gsub(/\\"/, "\"", line) }
            gsub(/[$][$]/, "$", line)
            told = told "environment " name "=" line "\n"
        }
        section == "extra_hosts:" && /^      - / { told = told "host " substr($0, 9) "\n" }
        END { end_service() }
    ' | hide_secrets | emit old_compose
}
variable_names() { # FILE: of a .env, as godotenv reads it
    sed -nE 's/^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)[[:space:]]*[=:].*/\2/p' "$1" 2>/dev/null
}
# By the name, and by a user in a URL.
hide_secrets() {
    sed -E '/^[^=]*(KEY|SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|CONN_STRING|DSN)[^=]*=/ s/=.*//; s/=.*@.*//'
}
