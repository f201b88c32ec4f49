# Gives Docker back the daemon.json that it ran with. May be cut off at any point and run again.
# Before this text stand: DAEMON_JSON FORMER (its copy; none: there was no file) PID (of the daemon) CONTAINERS (which ran).
if [ -f "$FORMER" ]; then
    cp -p "$FORMER" "$DAEMON_JSON.new"
    sync "$DAEMON_JSON.new"
    mv -fT "$DAEMON_JSON.new" "$DAEMON_JSON"
else
    rm -f "$DAEMON_JSON"
fi
# The one that never was restarted serves on.
if [ "$(systemctl show docker.service -p MainPID --value)" != "$PID" ] || ! systemctl is-active --quiet docker.service; then
    systemctl reset-failed docker.service docker.socket 2>/dev/null || :
    systemctl restart docker.service
fi
