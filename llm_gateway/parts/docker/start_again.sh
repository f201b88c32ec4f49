# Starts the containers of others that ran before a restart of Docker and do not run now: those without a restart policy.
# Before this text stands: CONTAINERS.
for each in $CONTAINERS; do
    [ "$(docker container inspect -f '{{.State.Running}}' "$each" 2>/dev/null)" != false ] || docker start "$each" >/dev/null
done
