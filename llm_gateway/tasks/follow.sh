# Runs the command in its arguments until that ends, or until whoever reads it has gone: then the command ends, too.
# A command that only writes would notice that at its next line, which may be tomorrow's.
exec 3<&0
"$@" 2>&1 3<&- &
follower=$!
{
    cat <&3
    kill "$follower"
} > /dev/null 2>&1 &
wait "$follower"
