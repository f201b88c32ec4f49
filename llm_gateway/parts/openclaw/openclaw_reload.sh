# What a running OpenClaw has against its configuration as it stands on the disk: its own words, or nothing. It looks at
# each change within seconds. Before this text stand SCOPE USER USER_ID UNIT CONFIGURATION.
export LC_ALL=C TZ=UTC PATH="$PATH:/usr/sbin:/sbin"

log() {
    if [ "$SCOPE" = system ]; then journalctl --unit "$UNIT" "$@"
    else journalctl "_UID=$USER_ID" "_SYSTEMD_USER_UNIT=$UNIT" "$@"; fi # --user-unit is for the caller's own
}
changed=$(stat -L -c %Y "$CONFIGURATION" 2>/dev/null) || exit 0
# A minute of the log, of which a busy agent may write much.
log --since "@$changed" --until "@$((changed + 60))" --output cat --quiet --no-pager 2>/dev/null |
    sed -nE 's/^([0-9TZ:.+-]+ )?\[reload\] config reload skipped \(invalid config\): //p' | tail -n 1
