# A host's journal, the oldest line first, and one for the run that is at work. Before this text stand: carrier.sh, journal lock.
cat "$journal.old" "$journal" 2> /dev/null
{ read -r holder since && read -r who && read -r run; } 2> /dev/null < "$lock" || exit 0
look_at "$holder"
[ "$started" != "$since" ] || printf '{"event": "at work", "run": "%s"}\n' "$run"
