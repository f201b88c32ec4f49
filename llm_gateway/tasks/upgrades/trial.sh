# Lays a copy of the gateway out beside it, unpublished, and starts it: the database out of a backup, the compose file from
# standard input, in base64.
# Before this text stand: COPIES (how many of the database there have to be room for) DIRECTORY SOURCE (the path of the backup, or of a directory that holds one-api.db) OWN (the
# command that gives trial/data to the user of One API) LIMIT (the one that sets what the compose file takes for `cpus`).
set -eu
umask 077
cd "$DIRECTORY"
bytes=$(stat -c %s data/one-api.db)
free=$(df -Pk . | awk 'NR == 2 { print $4 }')
if [ $((COPIES * bytes / 1024 + 65536)) -gt "$free" ]; then
    echo "no room for $COPIES copies of the database: they take $((COPIES * bytes / 1048576 + 64)) MiB in $DIRECTORY, and $((free / 1024))" \
        "MiB are free: make room there (du -xh --max-depth=2 / | sort -h | tail)" >&2
    exit 1
fi
mkdir -m 700 trial trial/data
if [ -d "$SOURCE" ]; then
    cp -dp --reflink=auto "$SOURCE"/one-api.db* trial/data/
else
    tar -xzf "$SOURCE" -C trial/data --no-same-owner --no-same-permissions one-api.db
fi
[ ! -e data/.env ] || cp -p data/.env trial/data/.env # One API reads it as well
sh -c "$OWN"
ln -s ../tiktoken trial/tiktoken
base64 -d > trial/docker-compose.yml
eval "$LIMIT"
docker compose --project-directory trial --file trial/docker-compose.yml --env-file .env up --detach
