# Whether systemd has done what it was asked to do with OpenClaw's unit, in at most SECONDS_TO_WAIT seconds; the last
# line is the answer: "done", "failed", or "stopping REASON", "starting". Before this text stand SCOPE USER USER_ID UNIT
# SINCE SECONDS_TO_WAIT; SINCE is when it was asked, as journalctl takes it.
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

manager() {
    if [ "$SCOPE" = system ]; then systemctl "$@"
    else runuser -u "$USER" -- env XDG_RUNTIME_DIR="/run/user/$USER_ID" systemctl --user "$@"; fi
}
log() {
    if [ "$SCOPE" = system ]; then journalctl --unit "$UNIT" "$@"
    else journalctl "_UID=$USER_ID" "_SYSTEMD_USER_UNIT=$UNIT" "$@"; fi # --user-unit is for the caller's own
}
# Of its log, in which the words of chats stand as well, nothing but counts, and in which part of the stop it is.
reason() {
    log --since "$SINCE" --output cat --quiet --no-pager 2>/dev/null | sed -nE \
        -e 's/.*draining active work before (stop|restart)[^:]*: (([A-Za-z]+=[0-9]+ ?)+)$/ it finishes what it has begun: \2/p' \
        -e 's/.*active-work drain settled.*/ its work is done, it closes its channels/p' \
        -e 's/.*\[([a-z0-9_-]+)\] \[[^]]*\] channel stop exceeded .*/ its work is done, its channel \1 does not end/p' \
        -e 's/.*Plugin ([a-z0-9_-]+) forced retirement after .*/ its work is done, its plugin \1 does not end/p' | tail -n 1
}
end=$(($(date +%s) + SECONDS_TO_WAIT))
while :; do
    found=$(manager show "$UNIT" -p Job -p ActiveState -p SubState)
    case $found in
        *Job=[1-9]*) ;;
        *ActiveState=failed* | *SubState=auto-restart*) echo failed; exit ;;
        *) echo "done"; exit ;;
    esac
    if [ "$(date +%s)" -ge "$end" ]; then
        case $found in *ActiveState=deactivating*) echo "stopping$(reason)" ;; *) echo starting ;; esac
        exit
    fi
    sleep 0.25
done
