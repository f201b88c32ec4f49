# Gets the key of Docker's apt repository: its content in base64, a line. Before this text stands: URL (of the key).
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
# An earlier run may have been cut off in the middle, its apt-get even be at work still.
timeout 300 sh -c 'until dpkg --configure -a >/dev/null 2>&1; do sleep 1; done'
[ -e /etc/ssl/certs/ca-certificates.crt ] || {
    apt-get update -qq -o DPkg::Lock::Timeout=120
    apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 ca-certificates
} >/dev/null
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
# apt's own way, with its proxy; as root, since the directory is root's.
/usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$URL" "$place/key" >"$place/said" 2>&1 || {
    cat "$place/said" >&2
    exit 1
}
base64 -w0 "$place/key"
