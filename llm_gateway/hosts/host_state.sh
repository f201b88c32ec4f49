# Reads all that a run needs to know of a host, in one round trip, and changes nothing.
# Before this text stand answers.sh, carrier.sh, tailscale-problem, database-settings, registry.sh, look.sh and: ROLES LOCK WHO RUN
# BEGUN DIRECTORY PORT IMAGE REGISTRY MIRRORS REGISTRY_PROXY USER_ID PROJECT TRACKED DAEMON_BEFORE DAEMON_OURS
# OPENCLAW_UNIT OPENCLAW_SCOPE OPENCLAW_USER OPENCLAW_WORKSPACE, and what is asked of the admin API: READ_CHANNELS READ_TOKENS
# READ_OPTIONS READ_HEADER READ_KEYS. LOCK is yes or no; or later, where another command, with only, takes the lock once the
# host was read, and reads nothing else.
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

# What the admin API knows, asked here: over a slow link that saves a round trip each. bash speaks TCP by itself, so no
# curl is needed and the access token is in no argument.
ask() {
    timeout 5 bash -c '
        token=$(sed -n "s/^ONEAPI_ACCESS_TOKEN=//p" "$1/secrets.env" | tr -d "\047")
        exec 3<>"/dev/tcp/$2/$3" || exit
        {
            printf "GET %s HTTP/1.0\r\nHost: gateway\r\nAuthorization: %s\r\n" "$4" "$token"
            [ -z "$5" ] || printf "%s\r\n" "$5"
            printf "\r\n"
        } >&3
        cat <&3
    ' ask "$DIRECTORY" "$1" "$2" "$3" "$READ_HEADER" 2>/dev/null
}
# ID|KEY of each token, of a gateway whose admin API lists keys with stars and counts requests for whole ones as log-ins.
token_keys() {
    sql='SELECT id, key FROM tokens WHERE deleted_at IS NULL'
    if command -v sqlite3 >/dev/null; then
        sqlite3 -init /dev/null -cmd 'PRAGMA ignore_check_constraints=ON' -batch -noheader -list -readonly -cmd '.timeout 3000' \
            "$1" "$sql"
    else
        python3 -c '
import sqlite3, sys
for row in sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", timeout=3, uri=True).execute(sys.argv[2]):
    print(*row, sep="|")' "$1" "$sql"
    fi 2>/dev/null
}
nearest() { path=$1; while [ ! -d "$path" ]; do path=$(dirname "$path"); done; printf '%s' "$path"; }

# One deployment at a time. The lock names the process that carries this connection (see carrier.sh), so it ends with it.
lock() {
    find_carrier
    command exec 9> "/run/$PROJECT.lock.guard" && flock -w 10 9 || return
    holder='' since='' who=''
    [ "$LOCK" != only ] || marks | emit marks
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
# By which a run that has read the host first, and takes the lock then, sees that no other was at work meanwhile.
marks() {
    { read -r holder since; } < "/run/$PROJECT.lock"
    printf '%s %s\n' "$holder" "$since"
    stat -c '%.9Y %s' "/var/lib/$PROJECT/journal.jsonl"
}
marks_before() {
    holder='' since='' started=''
    marks
    [ -z "$since" ] || look_at "$holder"
    [ -z "$since" ] || [ "$started" != "$since" ] || echo at work
}
# Whether the last run that did something ended badly: one that finds all well then writes so.
look_at_journal() {
    case $(tail -n 400 "/var/lib/$PROJECT/journal.jsonl" | grep -v -e '"event": "begun"' -e '"outcome": "refused"' | tail -n 1) in
        '' | *'"outcome": "done"'*) ;;
        *) echo yes | emit last_run_is_bad ;;
    esac
}
# What is run on this host, when and by whom: see llm_gateway/hosts/journal.py.
begin_journal() {
    journal=/var/lib/$PROJECT/journal.jsonl
    [ -d "${journal%/*}" ] || (umask 022 && mkdir -p "${journal%/*}") || return
    if [ "$(stat -c %s "$journal")" -gt 4000000 ]; then mv -f "$journal" "$journal.old"; fi
    (umask 077 && printf '%s\n' "$BEGUN" >> "$journal")
}
case $LOCK in
    yes | only) [ "$(id -u)" != 0 ] || lock 2>/dev/null ;;
    later) marks_before 2>/dev/null | emit marks ;;
esac
# What an interrupted run has left, which the host itself undoes: see llm_gateway/hosts/undo.py.
for stage in unfinished undoing; do content "$stage" "/var/lib/$PROJECT/$stage/what"; done
[ "$LOCK" != only ] || { end; exit; }

emit os_release < /etc/os-release
uname -m | emit machine
id -u | emit uid
[ -d /run/systemd/system ] && echo yes | emit systemd
# shellcheck disable=SC2086 # TRACKED is a list of paths without blanks
{ stat -L -c '%n %a %U:%G %.6Y' $TRACKED; } 2>/dev/null | emit tracked_stat # data/ may be a link to another disk
# shellcheck disable=SC2086
{ sha256sum $TRACKED; } 2>/dev/null | emit tracked_sum
tailscale0=$(ip -4 -o addr show dev tailscale0 2>/dev/null | awk '{print $4}')
printf '%s\n' "$tailscale0" | emit tailscale0

case " $ROLES " in *" gateway "*)
    docker_endpoint | emit docker_endpoint
    [ -z "$(docker_endpoint)" ] || { unset DOCKER_CONTEXT; export DOCKER_HOST=unix:///var/run/docker.sock; }
    if command -v docker >/dev/null; then
        info=$(docker_info)
        printf '%s' "$info" | emit docker_info
        case $info in
            *'"ServerVersion":"'[!\"]*) ;;
            *) { docker --version; timeout 20 docker info --format '{{.ServerVersion}}' >/dev/null; } 2>&1 | emit docker_says ;;
        esac
    fi
    docker_places "${info:-}" | emit disk_places
    docker_places "${info:-}" | while read -r place; do nearest "$place"; echo; done |
        xargs -d '\n' df -Pk "$(nearest "$DIRECTORY")" | emit disk
    problem=$(tailscale_problem)
    printf '%s' "$problem" | emit tailscale_problem
    # Each call of tailscale costs tens of milliseconds.
    [ -n "$problem$tailscale0" ] || timeout 5 tailscale ip -4 2>/dev/null | emit tailscale_ip
    # Whether who listens is our container: both are looked at in the same moment, since it may be starting just now.
    container=$(docker container inspect "$PROJECT" 2>/dev/null)
    listeners=$(ss -ltnpH "sport = :$PORT" 2>/dev/null)
    # ss looks for the processes first: one that has begun to listen since then has no name yet.
    ! printf '%s' "$listeners" | grep -qv users: || listeners=$(ss -ltnpH "sport = :$PORT" 2>/dev/null)
    printf '%s' "$listeners" | emit listeners
    # Containers name the directory of their data as they were told it, which may be a link to it or where that leads.
    data=$(readlink -m "$DIRECTORY/data")
    printf '%s' "$data" | emit data_path
    docker ps --filter "volume=$DIRECTORY/data" --filter "volume=$data" --format '{{.Names}}' 2>/dev/null | emit data_users
    content daemon_json /etc/docker/daemon.json
    stat -L -c '%a %U:%G %.6Y' /etc/docker/daemon.json 2>/dev/null | emit daemon_stat
    [ ! -L /etc/docker/daemon.json ] || readlink -f /etc/docker/daemon.json | emit daemon_link
    content daemon_before "$DAEMON_BEFORE"
    content daemon_ours "$DAEMON_OURS"
    systemctl show docker.service --timestamp=us+utc -p LoadState -p ActiveState -p MainPID -p ExecMainStartTimestamp \
        2>/dev/null | emit docker_unit
    daemon=$(systemctl show docker.service -p MainPID --value 2>/dev/null)
    if [ "${daemon:-0}" -gt 0 ] 2>/dev/null; then
        tr '\0' ' ' < "/proc/$daemon/cmdline" | emit docker_flags
        [ "$(id -u)" != 0 ] || docker_view "$(nearest "$DIRECTORY")" "$daemon" | emit docker_view
        ! grep -qsE '"iptables": *false|--iptables=' /etc/docker/daemon.json "/proc/$daemon/cmdline" ||
            # What tailscaled masquerades is marked: that is of no use to a container.
            { { nft list ruleset; iptables-save -t nat; } 2>/dev/null | grep -i masquerade | grep -qv mark && echo yes || echo no; } | emit masquerades
    fi
    content secrets "$DIRECTORY/secrets.env"
    content next_secrets "$DIRECTORY/secrets.env.next"
    content database_conf "$DIRECTORY/database.conf"
    # Where that is lost, what the gateway runs with.
    [ -f "$DIRECTORY/secrets.env" ] || sed -n 's/^SESSION_SECRET=//p' "$DIRECTORY/.env" 2>/dev/null | emit session_secret
    content applied_keys "$DIRECTORY/applied-keys.json"
    {
        for tool in sqlite3 age nft curl; do ! command -v "$tool" >/dev/null || echo "$tool"; done
        # Masked by page_server.sh, it is half installed.
        [ -L /run/systemd/system/nginx.service ] || ! command -v nginx >/dev/null || echo nginx
        [ ! -s /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
        # Only in the place of sqlite3, since Python takes its time; and python3-minimal has no sqlite3.
        command -v sqlite3 >/dev/null || ! python3 -c 'import sqlite3' 2>/dev/null || echo python3
        ! command -v pg_dump >/dev/null || ! command -v psql >/dev/null || echo psql
    } | emit tools
    content backup_last "$DIRECTORY/backups/last.json"
    # As files/hold-firewall has it: the same at each look.
    nft -s list table inet openclaw_llm_gateway 2>/dev/null | sed 's/ # progname.*//' | emit firewall_table
    content firewall_rules "/var/lib/$PROJECT/firewall/rules.nft"
    content firewall_loaded "/run/$PROJECT-firewall/loaded"
    systemctl show "$PROJECT-firewall.service" -p ActiveState -p UnitFileState -p NeedDaemonReload 2>/dev/null | emit firewall_unit
    content canary_state "/var/lib/$PROJECT/canary.state"
    content prune_last "/var/lib/$PROJECT/prune-logs.json"
    content budgets_last "/var/lib/$PROJECT/budgets.json"
    sed -n 's/^metrics=//p' "$DIRECTORY/canary.conf" 2>/dev/null | emit canary_metrics
    # In UTC, whatever the host's zone is, so that the times can be read anywhere.
    TZ=UTC systemctl show "$PROJECT-backup.timer" "$PROJECT-backup.service" "$PROJECT-canary.timer" "$PROJECT-canary.service" \
        "$PROJECT-prune-logs.timer" "$PROJECT-prune-logs.service" "$PROJECT-budgets.timer" "$PROJECT-budgets.service" \
        "$PROJECT-page.service" \
        -p Id -p LoadState -p ActiveState -p UnitFileState -p NeedDaemonReload -p Result -p LastTriggerUSec \
        -p NextElapseUSecRealtime 2>/dev/null | emit timer_units
    getent passwd "$USER_ID" | emit user_of_data
    ls -A "$DIRECTORY/data" 2>/dev/null | emit data
    stat -c '%s' "$DIRECTORY/data/one-api.db" 2>/dev/null | emit database_size
    variable_names "$DIRECTORY/data/.env" | emit data_environment
    # Of a gateway that is to be taken over.
    [ -f "$DIRECTORY/first-start-done" ] || {
        # The one that runs, where there are several.
        old=$(docker ps --all --filter "volume=$DIRECTORY/data" --filter "volume=$data" --format '{{.State}} {{.Names}}' \
            2>/dev/null | grep -v -- "-first-start\$" | sort -r | sed -n '1s/.* //p')
        database_settings "$DIRECTORY/data" ${old:+"$old"} | emit data_settings
        if [ -n "$old" ]; then old_gateway "$old"; elif [ -s "$DIRECTORY/data/one-api.db" ]; then compose_settings "$DIRECTORY"; fi
        # Where else a gateway has its data: below this directory, and what containers have as theirs.
        find "$DIRECTORY" -maxdepth 3 -path "$DIRECTORY/backups" -prune -o -name one-api.db -size +0 -printf '%h\n' 2>/dev/null |
            grep -vxE "$DIRECTORY/(data|incoming|replaced|previous|switching|trial|arriving)(/data)?" | emit databases
        format='{{.Id}} {{.Name}} {{range .Mounts}}{{if eq .Destination "/data"}}{{.Source}}{{end}}{{end}}'
        containers=$(docker ps --all --quiet --filter volume=/data 2>/dev/null)
        # shellcheck disable=SC2086 # IDs
        [ -z "$containers" ] || docker container inspect $containers --format "$format" 2>/dev/null | while read -r id name place; do
            elsewhere=$(database_settings "$place" "$id" | head -n 1)
            [ -z "$elsewhere" ] && [ ! -s "$place/one-api.db" ] || echo "${name#/} ${elsewhere:--} $place"
        done | emit gateways
    }
    { command -v docker; command -v dockerd; } | emit docker_commands
    dpkg-query -W -f '${Package} ${db:Status-Status} ${Version}\n' docker.io docker-cli docker-compose docker-buildx containerd runc \
        podman-docker docker-ce docker-ce-cli containerd.io 2>/dev/null | emit docker_packages
    case ${info:-} in
        *'"ServerVersion":"'[!\"]*) ;;
        *) # It is to be installed: what apt has of Docker's own repository.
            # Not indextargets: that lists no source of which apt has not fetched the lists yet.
            apt-get update --print-uris 2>/dev/null | sed -n "s|^'\(.*\)/dists/.*|\1/|p" | sort -u | emit apt_sources
            content apt_keyring /etc/apt/keyrings/docker.asc
            [ ! -e /etc/apt/sources.list.d/docker.sources ] || echo yes | emit apt_sources_file
            ;;
    esac
    image=''
    if command -v docker >/dev/null; then
        printf '%s' "$container" | emit container
        # Where somebody has removed the container, the compose file says which image it was made from.
        [ "${container:-[]}" != '[]' ] || [ ! -f "$DIRECTORY/docker-compose.yml" ] || {
            image=$(sed -n 's/^    image: //p' "$DIRECTORY/docker-compose.yml" | head -n 1)
            docker image inspect "$image" --format "{{.Id}} $image" 2>/dev/null | emit composed_image
        }
        image=$(docker image inspect "$IMAGE" --format '{{.Id}} {{.Architecture}} {{json .RepoDigests}}' 2>/dev/null)
        printf '%s' "$image" | emit image
    fi
    # Asked only where the image has to be pulled. Mirrors are those of Docker Hub.
    if [ -n "$REGISTRY" ] && [ -z "$image" ]; then
        mirrors=''
        [ "$MIRRORS" = none ] || mirrors="$MIRRORS $(docker info --format '{{range .RegistryConfig.Mirrors}}{{.}} {{end}}' 2>/dev/null)"
        proxy=${REGISTRY_PROXY:-$(docker info --format '{{.HTTPSProxy}}' 2>/dev/null)}
        reachable_registry "$mirrors $REGISTRY" "$proxy" | emit registry
    fi
    # Where it is published now, which is not where it will be when the port or the address changes.
    address=$(printf '%s\n' "${container:-}" | sed -n 's/.*"HostIp": "\([^"]*\)".*/\1/p' | head -n 1)
    port=$(printf '%s\n' "${container:-}" | sed -n 's/.*"HostPort": "\([^"]*\)".*/\1/p' | head -n 1)
    if [ -n "$address" ] && [ -f "$DIRECTORY/secrets.env" ]; then
        ask "$address" "$port" "$READ_CHANNELS" | emit api_channels
        ask "$address" "$port" "$READ_TOKENS" | emit api_tokens
        ask "$address" "$port" "$READ_OPTIONS" | emit api_options
        [ -z "$READ_KEYS" ] || token_keys "$DIRECTORY/data/one-api.db" | emit api_token_keys
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
        -p NeedDaemonReload -p ExecMainStartTimestamp -p TimeoutStopUSec 2>/dev/null)
    printf '%s' "$unit" | emit openclaw_unit
    # Where it is looked for in vain: whose unit of that name there is, and whether that user's systemd runs.
    case $unit in *LoadState=loaded*) ;; *)
        getent passwd | while IFS=: read -r name _ uid _ _ directory _; do
            [ ! -f "$directory/.config/systemd/user/$OPENCLAW_UNIT" ] ||
                printf '%s %s\n' "$name" "$([ -S "/run/user/$uid/systemd/private" ] && echo running || echo stopped)"
        done | sort -u | emit openclaw_user_units
        # Or of another name, by hand, in a container: by its processes, of which one may call itself "openclaw-gateway".
        for process in /proc/[0-9]*; do
            { words=$(tr '\0' ' ' < "$process/cmdline"); } 2>/dev/null || continue
            first=${words%% *}
            case ${first##*/} in node | openclaw | openclaw-gateway) ;; *) continue ;; esac
            case $words in openclaw-gateway* | *openclaw*" gateway "*) ;; *) continue ;; esac
            # The last of its control groups: a unit, or a container's.
            printf '%s %s %s\n' "${process##*/}" "$(stat -c %U "$process")" "$(sed -n '$s|.*/||p' "$process/cgroup" | grep . || echo -)"
        done 2>/dev/null | emit openclaw_processes
    esac
    user=$OPENCLAW_USER
    [ -n "$user" ] || user=$(printf '%s\n' "$unit" | sed -n 's/^User=//p')
    getent passwd "${user:-root}" | emit openclaw_passwd
    home=$(getent passwd "${user:-root}" | cut -d: -f6)
    # How the unit calls OpenClaw: the words before "gateway", one a line, and what stands behind it.
    started=$(manager show "$OPENCLAW_UNIT" -p ExecStart --value 2>/dev/null | sed -n '1s/.*argv\[\]=\(.*\) ; ignore_errors=.*/\1/p')
    case " $started " in *" gateway "*)
        called=" $started "
        printf '%s\n' "${called%% gateway *}" | tr -s ' ' '\n' | emit openclaw_command
        printf '%s\n' "${called#* gateway }" | emit openclaw_arguments
    esac
    # Of its variables those that say where it keeps what it has; the others may be secrets.
    pid=$(printf '%s\n' "$unit" | sed -n 's/^MainPID=//p')
    variables=$({
        if [ "${pid:-0}" = 0 ]; then manager show "$OPENCLAW_UNIT" -p Environment --value | tr ' ' '\n'
        else tr '\0' '\n' < "/proc/$pid/environ"; fi
    } 2>/dev/null | grep -E '^(HOME|OPENCLAW_(STATE_DIR|CONFIG_PATH|HOME|GATEWAY_PORT))=[^[:space:]]+$')
    variable() { printf '%s\n' "$variables" | sed -n "s/^$1=//p"; }
    # shellcheck disable=SC2088 # as OpenClaw has it, which no shell has expanded
    below() { case $2 in '~') printf '%s' "$1" ;; '~/'*) printf '%s' "$1/${2#??}" ;; *) printf '%s' "$2" ;; esac; }
    # In OpenClaw's own order (2026.9.6). OPENCLAW_PROFILE moves nothing: the option --profile does.
    own=$(variable HOME)
    own=${own:-$home}
    its_home=$(variable OPENCLAW_HOME)
    its_home=$(below "$own" "${its_home:-$own}")
    profile=$(printf ' %s ' "$started" | sed -nE -e 's/.* --dev .*/dev/p' -e 's/.* --profile[ =]([^ ]+) .*/\1/p' | sed '/^default$/d')
    place=$(variable OPENCLAW_STATE_DIR)
    place=$(below "$its_home" "${place:-$its_home/.openclaw${profile:+-$profile}}")
    config=$(variable OPENCLAW_CONFIG_PATH)
    config=$(below "$its_home" "${config:-$place/openclaw.json}")
    # For its own command, which is not always called with all of the unit's options.
    { printf '%s\n' "$variables"; printf 'OPENCLAW_STATE_DIR=%s\nOPENCLAW_CONFIG_PATH=%s\n' "$place" "$config"; } |
        sed '/^$/d' | emit openclaw_variables
    printf '%s' "$config" | emit openclaw_config_path
    [ ! -e "$config" ] || runuser -u "${user:-root}" -- cat "$config" 2>/dev/null | emit openclaw_config
    content openclaw_config_record "/var/lib/$PROJECT/openclaw-config.json"
    # As the user whose directory it is: root would follow a link of theirs to any file.
    env=$place/.env
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
    # Names in other files that OpenClaw reads as well; the values are other people's.
    working=$(readlink "/proc/${pid:-0}/cwd" 2>/dev/null)
    for other in "$working/.env" "$home/.config/openclaw/gateway.env"; do
        [ "$(readlink -f "$other")" = "$(readlink -f "$env")" ] ||
            runuser -u "${user:-root}" -- sed -n 's/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}\([A-Za-z_][A-Za-z0-9_]*\)=.*/\2/p' \
                "$other" 2>/dev/null | while read -r name; do printf '%s %s\n' "$name" "$other"; done
    done | emit openclaw_other_env
    dropin=/etc/systemd/system/$OPENCLAW_UNIT.d/zz-llm-gateway.conf
    [ "$OPENCLAW_SCOPE" = system ] || dropin=$home/.config/systemd/user/$OPENCLAW_UNIT.d/zz-llm-gateway.conf
    content openclaw_dropin "$dropin"
    # What a run that was cut off at its very end has not removed any more: see llm_gateway/tasks/agent_switch.sh.
    for kept in "$env.llmgw-kept" "$config.llmgw-kept" "$config.llmgw-new" "$dropin.llmgw-kept"; do
        [ ! -e "$kept" ] || echo yes
    done | emit openclaw_kept
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
            # By the nearest package.json above, Node takes a file for an ES module, which require refuses.
            at=$(pwd -P)/skills/shared
            until [ -e "$at/package.json" ] || [ -z "$at" ]; do at=${at%/*}; done
            if grep -Eqs "\"type\"[[:space:]]*:[[:space:]]*\"module\"" "$at/package.json"; then
                others=$(find skills/shared -maxdepth 1 -name "*.js" ! -name llm_client.js 2> /dev/null)
                [ -e skills/shared/package.json ] || [ -n "$others" ] && echo modules=others || echo modules=above
            fi
            cd skills/shared && [ -e llm_client.js ] || exit
            [ -f llm_client.js ] && [ -r llm_client.js ] || { echo unreadable=yes; exit; }
            stat -c "stat=%a %U" llm_client.js && printf sha256= && sha256sum llm_client.js
        ' sh "$workspace" 2>/dev/null | emit openclaw_workspace
        content openclaw_client_record "/var/lib/$PROJECT/llm_client.js.sha256"
        # Root may only write where nobody else can put a link: each directory and link on the way, with mode and owner.
        [ "${user:-root}" != root ] || namei -l "$workspace/skills/shared" 2>/dev/null | emit openclaw_workspace_way
    fi
    # Names alone: the values are secrets of other people.
    [ "${pid:-0}" = 0 ] || { tr '\0' '\n' < "/proc/$pid/environ" | sed -n 's/=.*//p'; } 2>/dev/null | emit openclaw_process
esac
end
