# Puts daemon.json in place and restarts Docker with it; where Docker does not start, it says so in Docker's own words.
# Before this text stand: DAEMON_JSON MODE OWNER.
# Standard input: the content, as llm_gateway.hosts.remote.encoded makes it; its first line alone, `none`: there is to be no file.
set -eu
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

read -r size
if [ "$size" = none ]; then
    rm -f "$DAEMON_JSON"
else
    # shellcheck disable=SC2174 # /etc is there
    mkdir -p -m 755 "${DAEMON_JSON%/*}"
    new=$DAEMON_JSON.new
    (umask 077 && base64 -d > "$new")
    [ "$(wc -c < "$new")" = "$size" ] || { echo 'the connection broke off' >&2; exit 1; }
    chown "$OWNER" "$new"
    chmod "$MODE" "$new"
    sync "$new"
    mv -fT "$new" "$DAEMON_JSON"
fi
systemctl reset-failed docker.service 2>/dev/null || : # it may have been restarted several times in a minute
since=$(date +%s)
systemctl restart docker.service 2>/dev/null && exit
{
    echo 'Docker does not start with its new settings; its log:'
    journalctl --no-pager --output cat --unit docker.service --since "@$since" |
        grep -iE 'failed|unable|invalid|error' | grep -vE '^docker\.service: |level=(info|warning|debug)' |
        sed 's#://[^/@ ]*@#://***@#g' | tail -n 5 || echo '(none: journalctl --unit docker.service)'
} >&2
exit 1
