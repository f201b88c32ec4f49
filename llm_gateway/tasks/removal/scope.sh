# What remove.py has to know beyond what host_state.sh reads: in one round trip, and nothing is changed.
# Before this text stand: ROLES PROJECT DIRECTORY BEFORE OPENCLAW_USER ENV_BEFORE CLIENT KEPT_SUFFIX.
# Each answer is one line: its name, a space, its bytes in base64. What is not there is an empty answer.
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

content() { [ ! -f "$2" ] || { cat "$2"; echo; } | emit "$1"; } # one line more, so that an empty file is told from none

find "$BEFORE" -type f ! -name '*.*' -exec cat {} + 2>/dev/null | emit notes
ls -A "/var/lib/$PROJECT" 2>/dev/null | emit home
ls -d "/etc/systemd/system/$PROJECT"*.service "/etc/systemd/system/$PROJECT"*.timer "/etc/systemd/system/$PROJECT"*.path "/var/lib/systemd/timers/stamp-$PROJECT"* \
    2>/dev/null | emit units
ls -d "/etc/systemd/system/$PROJECT"*.d 2>/dev/null | emit unit_drop_ins

case " $ROLES " in *" gateway "*)
    ls -A "$DIRECTORY" 2>/dev/null | emit directory
    ls -A "$DIRECTORY/backups" 2>/dev/null | emit backups
    ls -A "$DIRECTORY/backups/taken-over-files" 2>/dev/null | emit taken_over_files
    if command -v docker >/dev/null; then
        # By where compose worked: a person's own project may have the same name.
        docker ps --all --format '{{.Names}} {{.Label "com.docker.compose.project"}} {{.Label "com.docker.compose.project.working_dir"}}' \
            2>/dev/null | awk -v here="$DIRECTORY" -v project="$PROJECT" \
            'index($2, project) == 1 && ($3 == here || index($3, here "/") == 1) {print $1}' | emit containers
        docker network ls --format '{{.Name}} {{.Label "com.docker.compose.project"}}' 2>/dev/null |
            awk -v project="$PROJECT" 'index($2, project) == 1 {print $1}' | emit networks
        docker image ls --format '{{.Repository}}:{{.Tag}}' "$PROJECT*" 2>/dev/null | emit image_tags
        docker ps --quiet 2>/dev/null | emit running
    fi
esac

case " $ROLES " in *" openclaw "*)
    # As the user whose files they are, since root would follow a link of theirs anywhere.
    as_user() { if [ "$OPENCLAW_USER" = root ]; then "$@"; else runuser -u "$OPENCLAW_USER" -- "$@"; fi; }
    if as_user test -f "$ENV_BEFORE"; then { as_user cat "$ENV_BEFORE"; echo; } | emit env_before; fi
    if [ -n "$CLIENT" ]; then
        # The oldest first: what was there before the first deployment.
        # shellcheck disable=SC2016 # the inner shell expands it
        as_user sh -c 'ls -1tr "$1$2"-????????????' sh "$CLIENT" "$KEPT_SUFFIX" 2>/dev/null | emit client_kept
    fi
esac
end
