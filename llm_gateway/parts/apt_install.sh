# Installs packages, and prints what apt-get and dpkg say while they work, in English. Before this text stand: PACKAGES,
# and OPTIONS of `apt-get install`; both words with blanks between.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
place=$(mktemp -d) || exit
trap 'rm -rf "$place"' EXIT

# shellcheck disable=SC2086 # OPTIONS and PACKAGES are words
install_all() {
    # An earlier run may have been cut off in the middle, its apt-get even be at work still.
    timeout 300 sh -c 'until dpkg --configure -a >/dev/null 2>&1; do sleep 1; done' &&
        apt-get update -qq -o DPkg::Lock::Timeout=120 &&
        apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 $OPTIONS $PACKAGES
}

# To files: where the connection is lost, a word to it would end dpkg in the middle of a package.
: >"$place/told"
install_all >"$place/told" 2>"$place/problems" &
working=$!
tail -q -n +1 -s 0.2 -f --pid="$working" "$place/told"
wait "$working" || {
    tail -n 12 "$place/problems" >&2
    echo "Install by hand on this host, and run again: $PACKAGES" >&2
    exit 1
}
