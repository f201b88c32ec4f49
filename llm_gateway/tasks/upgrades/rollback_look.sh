# What there is to go back to; changes nothing.
# Before this text stand: schema.sh and PROJECT DIRECTORY.
set -eu
cd "$DIRECTORY"
kept=previous
# A run that was cut off between its commit and its end.
if [ -d switching ] && [ ! -d "/var/lib/$PROJECT/unfinished" ] && [ ! -d "/var/lib/$PROJECT/undoing" ]; then
    [ "$(cat switching/purpose)" != upgrade ] || kept=switching
    [ "$(cat switching/purpose)" = upgrade ] || exit 0
fi
[ -f "$kept/image" ] || exit 0
echo "$kept"
cat "$kept/image"
id=$(head -n 1 "$kept/image")
docker image inspect "$id" > /dev/null 2>&1 && echo there || echo gone
if [ ! -f "$kept/data/one-api.db" ]; then
    echo same
elif now=$(schema data/one-api.db) && before=$(schema "$kept/data/one-api.db") && [ "$now" = "$before" ]; then
    echo same
else
    echo other
fi
