# Reads all that a run needs to know of a host, in one round trip, and changes nothing.
# Before this text stand carrier.sh, database_settings.sh and: ROLES LOCK WHO RUN BEGUN DIRECTORY PORT IMAGE USER_ID PROJECT TRACKED
# OPENCLAW_UNIT OPENCLAW_SCOPE OPENCLAW_USER OPENCLAW_WORKSPACE.
# Each answer is one line: its name, a space, its bytes in base64. What cannot be read is an empty answer.
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

emit() { printf '%s ' "$1"; base64 -w0; printf '\n'; }
# What the admin API knows, asked here: over a slow link that saves a round trip each. bash speaks TCP by itself, so no
# curl is needed and the access token is in no argument.
ask() {
    timeout 5 bash -c '
        token=$(sed -n "s/^ONEAPI_ACCESS_TOKEN=//p" "$1/secrets.env" | tr -d "\047")
        exec 3<>"/dev/tcp/$2/$3" || exit
        printf "GET %s HTTP/1.0\r\nHost: gateway\r\nAuthorization: %s\r\n\r\n" "$4" "$token" >&3
        cat <&3
    ' ask "$DIRECTORY" "$1" "$2" "$3" 2>/dev/null
}
content() { [ ! -f "$2" ] || emit "$1" < "$2"; }
nearest() { path=$1; while [ ! -d "$path" ]; do path=$(dirname "$path"); done; printf '%s' "$path"; }

# One deployment at a time. The lock names the process that carries this connection (see carrier.sh), so it ends with it.
lock() {
    find_carrier
    command exec 9> "/run/$PROJECT.lock.guard" && flock -w 10 9 || return
    holder='' since='' who=''
    { read -r holder since && read -r who; } < "/run/$PROJECT.lock"
    if [ -n "$since" ] && [ "$holder" != "$carrier" ]; then
        look_at "$holder"
        if [ "$started" = "$since" ]; then
            printf '%s since %s (process %s)' "${who:-another run}" \
                "$(date -u -r "/run/$PROJECT.lock" '+%Y-%m-%d %H:%M UTC')" "$holder" | emit busy
            return
        fi
    fi
    look_at "$carrier"
    if [ "$holder $since" != "$carrier $started" ]; then
        printf '%s %s\n%s\n%s\n' "$carrier" "$started" "$WHO" "$RUN" > "/run/$PROJECT.lock"
        [ -z "$BEGUN" ] || begin_journal
    fi
    exec 9>&-
    look_at_journal
}
# Whether the last run that did something ended badly: one that finds all well then writes so.
look_at_journal() {
    case $(tail -n 400 "/var/lib/$PROJECT/journal.jsonl" | grep -v '"event": "begun"' | tail -n 1) in
        '' | *'"outcome": "done"'*) ;;
        *) echo yes | emit last_run_is_bad ;;
    esac
}
# What is run on this host, when and by whom: see gateway/runs/journal.py.
begin_journal() {
    journal=/var/lib/$PROJECT/journal.jsonl
    [ -d "${journal%/*}" ] || (umask 022 && mkdir -p "${journal%/*}") || return
    if [ "$(stat -c %s "$journal")" -gt 4000000 ]; then mv -f "$journal" "$journal.old"; fi
    (umask 077 && printf '%s\n' "$BEGUN" >> "$journal")
}
[ "$LOCK" != yes ] || [ "$(id -u)" != 0 ] || lock 2>/dev/null
# What an interrupted run has left, which the host itself undoes: see gateway/runs/undo.py.
for stage in unfinished undoing; do content "$stage" "/var/lib/$PROJECT/$stage/what"; done

emit os_release < /etc/os-release
uname -m | emit machine
id -u | emit uid
[ -d /run/systemd/system ] && echo yes | emit systemd
# shellcheck disable=SC2086 # TRACKED is a list of paths without blanks
{ stat -c '%n %a %U:%G %.6Y' $TRACKED; } 2>/dev/null | emit tracked_stat
# shellcheck disable=SC2086
{ sha256sum $TRACKED; } 2>/dev/null | emit tracked_sum
{ ip -4 -o addr show dev tailscale0 2>/dev/null | awk '{print $4}'; } | emit tailscale0

case " $ROLES " in *" gateway "*)
    df -Pk "$(nearest "$DIRECTORY")" "$(nearest /var/lib/docker)" | emit disk
    { command -v tailscale >/dev/null && timeout 5 tailscale ip -4; } 2>/dev/null | emit tailscale_ip
    # Whether who listens is our container: both are looked at in the same moment, since it may be starting just now.
    container=$(docker container inspect "$PROJECT" 2>/dev/null)
    listeners=$(ss -ltnpH "sport = :$PORT" 2>/dev/null)
    # ss looks for the processes first: one that has begun to listen since then has no name yet.
    ! printf '%s' "$listeners" | grep -qv users: || listeners=$(ss -ltnpH "sport = :$PORT" 2>/dev/null)
    printf '%s' "$listeners" | emit listeners
    docker ps --filter "volume=$DIRECTORY/data" --format '{{.Names}}' 2>/dev/null | emit data_users
    content daemon_json /etc/docker/daemon.json
    content secrets "$DIRECTORY/secrets.env"
    content next_secrets "$DIRECTORY/secrets.env.next"
    # Where that is lost, what the gateway runs with.
    [ -f "$DIRECTORY/secrets.env" ] || sed -n 's/^SESSION_SECRET=//p' "$DIRECTORY/.env" 2>/dev/null | emit session_secret
    content applied_keys "$DIRECTORY/applied-keys.json"
    for tool in sqlite3 python3 age nft; do ! command -v "$tool" >/dev/null || echo "$tool"; done | emit tools
    content backup_last "$DIRECTORY/backups/last.json"
    # As files/hold-firewall has it: the same at each look.
    nft -s list table inet openclaw_llm_gateway 2>/dev/null | sed 's/ # progname.*//' | emit firewall_table
    content firewall_rules "/var/lib/$PROJECT/firewall/rules.nft"
    content firewall_loaded "/run/$PROJECT-firewall/loaded"
    systemctl show "$PROJECT-firewall.service" -p ActiveState -p UnitFileState -p NeedDaemonReload 2>/dev/null | emit firewall_unit
    content canary_state "/var/lib/$PROJECT/canary.state"
    sed -n 's/^metrics=//p' "$DIRECTORY/canary.conf" 2>/dev/null | emit canary_metrics
    # In UTC, whatever the host's zone is, so that the times can be read anywhere.
    TZ=UTC systemctl show "$PROJECT-backup.timer" "$PROJECT-backup.service" "$PROJECT-canary.timer" "$PROJECT-canary.service" \
        -p Id -p LoadState -p ActiveState -p UnitFileState -p NeedDaemonReload -p Result -p LastTriggerUSec \
        -p NextElapseUSecRealtime 2>/dev/null | emit timer_units
    getent passwd "$USER_ID" | emit user_of_data
    ls -A "$DIRECTORY/data" 2>/dev/null | emit data
    stat -c '%s' "$DIRECTORY/data/one-api.db" 2>/dev/null | emit database_size
    # Of a gateway that is to be taken over.
    # shellcheck disable=SC2046 # IDs, one to a word
    [ -f "$DIRECTORY/first-start-done" ] ||
        database_settings "$DIRECTORY/data" $(docker ps --all --quiet --filter "volume=$DIRECTORY/data" 2>/dev/null) |
        emit data_settings
    { command -v docker; command -v dockerd; } | emit docker_commands
    dpkg-query -W -f '${db:Status-Status}' docker.io 2>/dev/null | emit docker_package
    if command -v docker >/dev/null; then
        docker version --format '{{.Server.Version}}' 2>/dev/null | emit docker
        docker compose version --short 2>/dev/null | emit compose
        printf '%s' "$container" | emit container
        docker ps --all --quiet --filter "name=^$PROJECT-replaced\$" 2>/dev/null | emit kept_container
        # Where somebody has removed the container, the compose file says which image it was made from.
        [ "${container:-[]}" != '[]' ] || [ ! -f "$DIRECTORY/docker-compose.yml" ] || {
            image=$(sed -n 's/^    image: //p' "$DIRECTORY/docker-compose.yml" | head -n 1)
            docker image inspect "$image" --format "{{.Id}} $image" 2>/dev/null | emit composed_image
        }
        docker image inspect "$IMAGE" --format '{{.Id}} {{.Architecture}} {{json .RepoDigests}}' 2>/dev/null | emit image
    fi
    # Where it is published now, which is not where it will be when the port or the address changes.
    address=$(printf '%s\n' "${container:-}" | sed -n 's/.*"HostIp": "\([^"]*\)".*/\1/p' | head -n 1)
    port=$(printf '%s\n' "${container:-}" | sed -n 's/.*"HostPort": "\([^"]*\)".*/\1/p' | head -n 1)
    if [ -n "$address" ] && [ -f "$DIRECTORY/secrets.env" ]; then
        ask "$address" "$port" '/api/channel/search?keyword=' | emit api_channels
        ask "$address" "$port" '/api/token/search?keyword=' | emit api_tokens
        ask "$address" "$port" '/api/option/' | emit api_options
    fi
    systemctl show "$PROJECT.service" --timestamp=us+utc -p LoadState -p ActiveState \
        -p UnitFileState -p NeedDaemonReload -p ExecMainStartTimestamp 2>/dev/null | emit gateway_unit
esac

case " $ROLES " in *" openclaw "*)
    manager() {
        [ "$OPENCLAW_SCOPE" = user ] || { systemctl "$@"; return; }
        # Not -M USER@.host: that takes a D-Bus session, which a server's lingering user may not have.
        runuser -u "$OPENCLAW_USER" -- env XDG_RUNTIME_DIR="/run/user/$(id -u "$OPENCLAW_USER")" systemctl --user "$@"
    }
    unit=$(manager show "$OPENCLAW_UNIT" --timestamp=us+utc -p LoadState -p ActiveState -p User -p MainPID \
        -p NeedDaemonReload -p ExecMainStartTimestamp 2>/dev/null)
    printf '%s' "$unit" | emit openclaw_unit
    user=$OPENCLAW_USER
    [ -n "$user" ] || user=$(printf '%s\n' "$unit" | sed -n 's/^User=//p')
    getent passwd "${user:-root}" | emit openclaw_passwd
    home=$(getent passwd "${user:-root}" | cut -d: -f6)
    # As the user whose directory it is: root would follow a link of theirs to any file.
    env=$home/.openclaw/.env
    if [ -L "$env" ]; then
        target=$(runuser -u "${user:-root}" -- readlink -f "$env")
        env=${target:-$(readlink "$env")}
        [ -e "$env" ] || echo yes | emit openclaw_env_dangles
    fi
    printf '%s' "$env" | emit openclaw_env_path
    if [ -e "$env" ]; then
        runuser -u "${user:-root}" -- cat "$env" > /dev/null 2>&1 && runuser -u "${user:-root}" -- cat "$env" | emit openclaw_env
        echo yes | emit openclaw_env_exists
    fi
    stat -c '%a %U:%G %.6Y' "$env" 2>/dev/null | emit openclaw_env_stat
    dropin=/etc/systemd/system/$OPENCLAW_UNIT.d/zz-llm-gateway.conf
    [ "$OPENCLAW_SCOPE" = system ] || dropin=$home/.config/systemd/user/$OPENCLAW_UNIT.d/zz-llm-gateway.conf
    content openclaw_dropin "$dropin"
    stat -c '%a %U:%G %.6Y' "$dropin" 2>/dev/null | emit openclaw_dropin_stat
    if [ -n "$OPENCLAW_WORKSPACE" ]; then
        workspace=$OPENCLAW_WORKSPACE
        [ "$workspace" = "${workspace#\~/}" ] || workspace=$home/${workspace#\~/}
        # As the user, like .env.
        # shellcheck disable=SC2016 # the inner shell expands it
        runuser -u "${user:-root}" -- sh -c '
            cd "$1" || exit
            for nearest in skills/shared skills .; do [ ! -e "$nearest" ] && [ ! -L "$nearest" ] || break; done
            printf "nearest=%s\n" "$nearest"
            [ ! -L "$nearest" ] || printf "leads_to=%s\n" "$(readlink -m "$nearest")"
            [ ! -d "$nearest" ] || [ ! -w "$nearest" ] || [ ! -x "$nearest" ] || echo writable=yes
            cd skills/shared && [ -e llm_client.js ] || exit
            [ -f llm_client.js ] && [ -r llm_client.js ] || { echo unreadable=yes; exit; }
            stat -c "stat=%a %U" llm_client.js && printf sha256= && sha256sum llm_client.js
        ' sh "$workspace" 2>/dev/null | emit openclaw_workspace
        content openclaw_client_record "/var/lib/$PROJECT/llm_client.js.sha256"
        # Root may only write where nobody else can put a link: each directory and link on the way, with mode and owner.
        [ "${user:-root}" != root ] || namei -l "$workspace/skills/shared" 2>/dev/null | emit openclaw_workspace_way
    fi
    pid=$(printf '%s\n' "$unit" | sed -n 's/^MainPID=//p')
    # Names alone: the values are secrets of other people.
    [ "${pid:-0}" = 0 ] || { tr '\0' '\n' < "/proc/$pid/environ" | sed -n 's/=.*//p'; } 2>/dev/null | emit openclaw_process
esac
printf 'end %s\n' "$(printf complete | base64 -w0)"
