# Whether OpenClaw's gateway is ready, in at most SECONDS_TO_WAIT seconds: one word a line, the last is the answer.
# Before this text stand SCOPE USER USER_ID UNIT PORT SECONDS_TO_WAIT.
export LC_ALL=C TZ=UTC PATH="$PATH:/usr/sbin:/sbin"

manager() {
    if [ "$SCOPE" = system ]; then systemctl "$@"
    else runuser -u "$USER" -- env XDG_RUNTIME_DIR="/run/user/$USER_ID" systemctl --user "$@"; fi
}
log() {
    if [ "$SCOPE" = system ]; then journalctl --unit "$UNIT" "$@"
    else journalctl "_UID=$USER_ID" "_SYSTEMD_USER_UNIT=$UNIT" "$@"; fi # --user-unit is for the caller's own
}
# Why it has ended, of its own last words: one line of this start's log, in which the words of chats stand as well.
down() {
    began=$(printf '%s\n' "$state" | sed -n 's/^ExecMainStartTimestamp=[A-Z][a-z]* //p')
    reason=$([ -z "$began" ] || log --since "$began" --output cat --quiet --no-pager 2>/dev/null |
        sed -nE 's/^([0-9TZ:.+-]+ )?Gateway failed to start: / /p' | tail -n 1)
    echo "down $code$reason"
    exit
}
# bash speaks TCP by itself: a host may have no curl.
ask() {
    timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit
        printf "GET /readyz HTTP/1.0\r\nHost: %s\r\n\r\n" "$1" >&3
        head -n 1 <&3' ask "$1" "$PORT" 2>/dev/null
}
end=$(($(date +%s) + SECONDS_TO_WAIT))
while :; do
    state=$(manager show "$UNIT" -p ActiveState -p SubState -p ExecMainStatus -p ExecMainStartTimestamp)
    code=$(printf '%s\n' "$state" | sed -n 's/^ExecMainStatus=//p')
    # A unit written by hand may start it again and again: that it ends by itself with 0, to be restarted, is as it should be.
    case $state in *SubState=auto-restart*) [ "$code" = 0 ] || down ;; esac
    case $state in *ActiveState=failed* | *ActiveState=inactive*) down ;; esac
    address=$(ss -ltnH "sport = :$PORT" | awk '{sub(/:[0-9]+$/, "", $4); sub(/%.*/, "", $4); print $4; exit}')
    case $address in
        '') answer='' ;;
        '*' | 0.0.0.0 | '[::]' | '[::1]') answer=$(ask 127.0.0.1) ;;
        *) answer=$(ask "$address") ;;
    esac
    case $answer in *' 200 '*) echo ready; exit ;; esac
    [ "$(date +%s)" -lt "$end" ] || { echo "waiting${answer:+ ($answer)}" | tr -d '\r'; exit; }
    sleep 0.5
done
