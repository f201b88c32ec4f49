# How the gateway is before a switch, for the way back; changes nothing.
# Before this text stand: PROJECT UNIT.
# Only one that somebody has stopped is left so: one that has failed is meant to run.
case $(systemctl show --property ActiveState --value "$UNIT") in inactive | deactivating) active=no ;; *) active=yes ;; esac
[ "$(docker container inspect "$PROJECT" --format '{{.State.Running}}' 2> /dev/null)" != true ] || active=yes
echo "WAS_ACTIVE=$active"
systemctl is-enabled --quiet "$UNIT" 2> /dev/null && echo WAS_ENABLED=yes || echo WAS_ENABLED=no
