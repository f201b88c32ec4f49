# Functions that look at the Docker of a host; a command that is not there says nothing.

# Where `docker` is pointed, unless it is this host's own engine. An engine elsewhere would be asked, and waited for.
docker_endpoint() {
    endpoint=${DOCKER_HOST:-}
    if [ -z "$endpoint" ]; then
        context=${DOCKER_CONTEXT:-$(sed -n 's/.*"currentContext"[^"]*"\([^"]*\)".*/\1/p' \
            "${DOCKER_CONFIG:-${HOME:-/root}/.docker}/config.json" 2>/dev/null || :)}
        case $context in
            '' | default) ;;
            *) endpoint=$(docker context inspect "$context" --format '{{.Endpoints.docker.Host}}' 2>/dev/null) || endpoint="the context $context" ;;
        esac
    fi
    case $endpoint in unix:///var/run/docker.sock | unix:///run/docker.sock) ;; *) printf '%s' "$endpoint" ;; esac
}
# What the engine says of itself: JSON, without the long list of what its runtimes can.
docker_info() {
    timeout 20 docker info --format '{{json .}}' 2>/dev/null | sed 's/"Runtimes":{.*},"DefaultRuntime"/"DefaultRuntime"/'
}
# The directories that Docker keeps images and containers in, one a line, by what docker_info says.
docker_places() {
    place=$(printf '%s' "$1" | sed -n 's/.*"DockerRootDir":"\([^"]*\)".*/\1/p')
    [ -n "$place" ] || place=$(cat /etc/docker/daemon.json 2>/dev/null | tr -d '\n' | sed -n 's/.*"data-root"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p')
    printf '%s\n' "${place:-/var/lib/docker}"
    case $1 in *io.containerd.snapshotter*)
        # Its images are containerd's then, as in every Docker that was new from 29 on.
        place=$(sed -n 's/^root *= *["'\'']\([^"'\'']*\)["'\''].*/\1/p' /etc/containerd/config.toml 2>/dev/null | head -n 1)
        printf '%s\n' "${place:-/var/lib/containerd}"
    esac
}
# Whether the daemon sees the host's files: "same", or "elsewhere", for a directory that is there, and the daemon's process.
docker_view() {
    [ "$(stat -c %d:%i "$1")" = "$(stat -L -c %d:%i "/proc/$2/root$1" 2>/dev/null)" ] && echo same || echo elsewhere
}
