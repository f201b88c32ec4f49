# Back to the image that served before a switch. It may be cut off and run again.
# Before this text stand: schema.sh and DIRECTORY UNIT OLD REFERENCE FILES ASIDE (a name below backups/) and, of the time
# before the switch, WAS_ACTIVE WAS_ENABLED (yes or no).
set -eu
umask 077
cd "$DIRECTORY"
# Kept as a whole before anything is stopped; where it is not there, nothing has been changed yet, or all has been undone.
if [ -d switching ]; then
    systemctl stop "$UNIT"
    for path in $FILES; do
        name=${path##*/}
        if [ -e "switching/files/$name" ]; then
            cp -p "switching/files/$name" "$path.restored"
            sync "$path.restored"
            mv -fT "$path.restored" "$path"
        else
            rm -f "$path"
        fi
    done
    case $REFERENCE in *@* | sha256:*) ;; *) docker image tag "$OLD" "$REFERENCE" ;; esac
    # A schema that the other image has changed is not for the old one. Where it has not, the data stay as they are, with
    # all that was written meanwhile.
    if [ -d switching/data ] && [ ! -e switching/aside ]; then
        if ! now=$(schema data/one-api.db) || ! before=$(schema switching/data/one-api.db) || [ "$now" != "$before" ]; then
            : > switching/aside
            sync switching
        fi
    fi
    if [ -e switching/aside ]; then
        if [ ! -d "backups/$ASIDE" ]; then
            rm -rf "backups/$ASIDE.new"
            mkdir -p "backups/$ASIDE.new"
            # Without owners: backups/ may lie where there are none.
            cp -d --preserve=timestamps --reflink=auto data/one-api.db* "backups/$ASIDE.new/"
            sync
            mv -T "backups/$ASIDE.new" "backups/$ASIDE"
        fi
        rm -rf data/restored
        mkdir data/restored
        cp -dp --reflink=auto switching/data/* data/restored/
        sync
        # What belongs to the other file goes first: a journal would be played back into this one.
        rm -f data/one-api.db-journal data/one-api.db-wal data/one-api.db-shm
        mv -fT data/restored/one-api.db data/one-api.db
        find data/restored -type f -exec mv -f {} data/ \;
        rmdir data/restored
    fi
    sync
fi
systemctl daemon-reload
if [ "$WAS_ENABLED" = yes ]; then
    systemctl reenable --quiet "$UNIT"
else
    systemctl disable --quiet "$UNIT"
fi
# Not waited for: at a boot its address may come later, and the unit goes on trying.
[ "$WAS_ACTIVE" != yes ] || systemctl start --no-block "$UNIT"
rm -rf switching switching.new
