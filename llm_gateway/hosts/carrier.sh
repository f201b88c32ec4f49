# Which process carries this connection (an sshd, or pyinfra itself): what a run holds on a host ends with it, however it
# ends, and nobody has to clear anything after a crash. In shell builtins alone, since every fork counts in a run that
# changes nothing. Before this text stand PROJECT and RUN: with Tailscale SSH, where tailscaled carries all connections, the
# run has left a process of its own (llm_gateway/hosts/carrier.py).
look_at() { # sets parent and started from /proc/PID/stat, whose second field may hold anything
    parent='' started=''
    { read -r stat < "/proc/$1/stat"; } 2>/dev/null || return
    # shellcheck disable=SC2086 # the fields behind the name are numbers
    set -- ${stat##*) }
    parent=$2 started=${20}
}
find_carrier() {
    carrier=$$
    while { read -r name < "/proc/$carrier/comm"; } 2>/dev/null; do
        case $name in
            *sh | sudo | su | doas | dzdo | login) ;;
            tailscaled)
                carrier=''
                { read -r carrier < "/run/$PROJECT.carrier.$RUN"; } 2>/dev/null || :
                return
                ;;
            *) return ;;
        esac
        look_at "$carrier"
        carrier=$parent
    done
}
