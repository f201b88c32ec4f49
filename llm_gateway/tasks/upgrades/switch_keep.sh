# Keeps what the switch to another image replaces: files and the image's ID; the data follow once the gateway has stopped.
# Before this text stand: DIRECTORY PURPOSE OLD REFERENCE KEPT FILES (paths without blanks) NEW (words) SWITCHED_AT.
set -eu
umask 077
cd "$DIRECTORY"
rm -rf switching switching.new
mkdir switching.new switching.new/files
for path in $FILES; do
    [ ! -e "$path" ] || cp -p "$path" switching.new/files/
done
docker image tag "$OLD" "$KEPT"
printf '%s\n' "$OLD" "$REFERENCE" "$NEW" "$SWITCHED_AT" > switching.new/image
printf '%s\n' "$PURPOSE" > switching.new/purpose
sync
mv -T switching.new switching
sync .
