# Puts a file in place, for root alone, that comes on standard input, once its SHA-256 is right. Before this text stand: target
# digest.
set -e
umask 077
partial=$target.partial
trap 'rm -f "$partial"' EXIT
trap 'exit 1' HUP INT TERM
cat > "$partial"
case $(sha256sum < "$partial") in "$digest"*) ;; *) echo "the transfer broke off: run again" >&2; exit 1 ;; esac
sync "$partial"
mv -fT "$partial" "$target"
sync "$(dirname "$target")"
