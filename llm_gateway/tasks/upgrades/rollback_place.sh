# Puts the older data in place of the newer ones while the gateway stands still, with the secrets that belong to them.
# Before this text stand: DIRECTORY ASIDE (a name below backups/).
set -eu
umask 077
cd "$DIRECTORY"
printf '%s\n' "$ASIDE" > switching/newer
rm -rf data/older
mkdir data/older
cp -dp --reflink=auto previous/data/* data/older/
sync
rm -f data/one-api.db-journal data/one-api.db-wal data/one-api.db-shm
mv -fT data/older/one-api.db data/one-api.db
find data/older -type f -exec mv -f {} data/ \;
rmdir data/older
for name in secrets.env applied-keys.json; do
    rm -f "$name.older"
    [ ! -f "previous/files/$name" ] || { cp -p "previous/files/$name" "$name.older" && sync "$name.older" && mv -fT "$name.older" "$name"; }
done
