# Takes the trial of another image down. It may be cut off and run again.
# Before this text stand: SERVICE (of a PostgreSQL, the file that leads psql there; else "") SCHEMA (of its copy) PROJECT DIRECTORY OLD (the ID of the image that serves) REFERENCE (its name in the compose file).
set -eu
# A tag that came with the new image must not lead the gateway to it at its next start.
case $REFERENCE in *@* | sha256:*) ;; *) docker image tag "$OLD" "$REFERENCE" ;; esac
for container in $(docker ps --all --quiet --filter "name=^$PROJECT-trial\$"); do docker rm --force "$container" > /dev/null; done
for network in $(docker network ls --quiet --filter "name=^${PROJECT}-trial_"); do docker network rm "$network" > /dev/null; done
[ ! -d "$DIRECTORY/trial" ] || rm -rf "$DIRECTORY/trial"
# The guard's unit, which may be who runs this, has no network: systemd starts what needs it. Where the database is not reached now, the
# next trial removes what is left.
[ -z "$SERVICE" ] || echo "DROP SCHEMA IF EXISTS $SCHEMA CASCADE;" |
    systemd-run --quiet --collect --wait --pipe --service-type=exec --setenv=PGSERVICEFILE="$SERVICE" --setenv=PGSERVICE=gateway \
        --setenv=PGOPTIONS='-c client_min_messages=error' -- psql -XqAt -v ON_ERROR_STOP=1 ||
    echo "the copy of the database is left in its schema $SCHEMA" >&2
