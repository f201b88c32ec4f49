#!/usr/bin/env bash
# Debian's prometheus, promtool, alertmanager and node_exporter for the tests: unpacked into the cache and not installed, since
# the packages would start services on this machine. Prints the directory of their commands.
set -euo pipefail
packages=(prometheus prometheus-alertmanager prometheus-node-exporter)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/openclaw-llm-gateway/prometheus
if [ ! -e "$cache/complete" ]; then
    mkdir -p "$cache"
    work=$(mktemp -d "$cache.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    (
        cd "$work"
        # The lists of packages may be missing, as in a fresh container.
        apt-get download -qq "${packages[@]}" 2> /dev/null || {
            if [ "$(id -u)" = 0 ]; then apt-get update -qq; else sudo -n apt-get update -qq; fi
            apt-get download -qq "${packages[@]}"
        }
        for file in *.deb; do dpkg-deb --extract "$file" .; done
        rm -f ./*.deb
        : > complete
    ) >&2
    rm -rf "$cache"
    mv -T "$work" "$cache"
fi
echo "$cache/usr/bin"
