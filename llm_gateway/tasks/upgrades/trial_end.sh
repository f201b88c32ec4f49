# Takes the trial of another image down. It may be cut off and run again.
# Before this text stand: PROJECT DIRECTORY OLD (the ID of the image that serves) REFERENCE (its name in the compose file).
set -eu
# A tag that came with the new image must not lead the gateway to it at its next start.
case $REFERENCE in *@* | sha256:*) ;; *) docker image tag "$OLD" "$REFERENCE" ;; esac
for container in $(docker ps --all --quiet --filter "name=^$PROJECT-trial\$"); do docker rm --force "$container" > /dev/null; done
for network in $(docker network ls --quiet --filter "name=^${PROJECT}-trial_"); do docker network rm "$network" > /dev/null; done
[ ! -d "$DIRECTORY/trial" ] || rm -rf "$DIRECTORY/trial"
