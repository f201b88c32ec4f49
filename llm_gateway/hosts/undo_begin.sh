# Leaves word on the host of how to undo what is about to begin, and has the host watch over it.
# Before this text stand carrier.sh and: PROJECT ID PATIENCE (seconds). Standard input: base64, a line each: the script
# undo-unfinished, the unit of the boot, the unit of the guard, what this is, how to undo it; then the word "end".
set -eu
umask 077
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
home=/var/lib/$PROJECT
refuse() { printf '%s\n' "$1" >&2; exit 1; }
place() { # place PATH MODE BASE64: a file, whole or not at all, where it is not so already
    [ ! -f "$1" ] || [ "$(base64 -w0 < "$1")" != "$3" ] || return 0
    printf '%s' "$3" | base64 -d > "$1.new"
    chmod "$2" "$1.new"
    mv -fT "$1.new" "$1"
    changed=yes
}

read -r script && read -r boot_unit && read -r guard_unit && read -r what && read -r undo && read -r last || last=''
[ "$last" = end ] || refuse 'the connection broke off'
[ "$(id -u)" = 0 ] || refuse 'this takes root'
(umask 022 && mkdir -p "$home")
if [ -d "$home/unfinished" ] || [ -d "$home/undoing" ]; then
    refuse "something else is unfinished there: $(cat "$home/unfinished/what" "$home/undoing/what" 2>/dev/null || :)"
fi

# At the host's next boot, whenever that comes: so this has to lie on the disk first.
changed=''
place "$home/undo-unfinished" 755 "$script"
place "/etc/systemd/system/$PROJECT-undo.service" 644 "$boot_unit"
place "/etc/systemd/system/$PROJECT-guard.service" 644 "$guard_unit"
if [ -n "$changed" ] || ! systemctl is-enabled --quiet "$PROJECT-undo.service" 2>/dev/null; then
    systemctl daemon-reload
    systemctl reenable --quiet "$PROJECT-undo.service"
fi

find_carrier
look_at "$carrier"
[ -n "$started" ] || refuse 'the process that carries this connection is not to be seen in /proc'
owner_started=$started
look_at 1
read -r boot < /proc/sys/kernel/random/boot_id
read -r uptime _ < /proc/uptime
rm -rf "$home/unfinished.new"
mkdir "$home/unfinished.new"
printf '%s\n' "$what" | base64 -d > "$home/unfinished.new/what"
printf '%s\n' "$undo" | base64 -d > "$home/unfinished.new/undo"
# One line, so that it is read at once: identity, boot, start of process 1, owner and its start, deadline, patience.
printf '%s\n' "$ID $boot $started $carrier $owner_started $((${uptime%.*} + PATIENCE)) $PATIENCE" \
    > "$home/unfinished.new/terms"
# Everything, not this alone: what the undo relies on was written a moment ago.
sync
rm -rf "/run/$PROJECT.undo"
mkdir "/run/$PROJECT.undo"
mv -T "$home/unfinished.new" "$home/unfinished"
sync "$home"
# Anew, not only started: one that is just ending because nothing was unfinished would not see this.
if ! systemctl restart "$PROJECT-guard.service"; then
    mv -T "$home/unfinished" "$home/unfinished.new"
    refuse "$PROJECT-guard.service does not start: systemctl status $PROJECT-guard.service says why"
fi
