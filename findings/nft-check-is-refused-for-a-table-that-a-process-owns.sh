#!/usr/bin/env bash
# `nft -c` (check, change nothing) refuses valid rules for root, where another process owns a table of that name.
#
# nftables 1.0.6 (Debian 12) and 1.1.3 (Debian 13), in a network namespace of its own (`unshare --net`, needs root).
# While one nft holds `table inet kept { flags owner; }`, another one, also of root:
#   nft -c -f rules of `table inet kept`     exit 1, "Operation not permitted"
#   nft -c -f the same as `table inet other` exit 0
#   nft flush ruleset                        exit 0, no word, and the table stays
# So EPERM of a check is no fault of the rules and no lack of rights: check them under another name of the table.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo 'run this as root: it makes a network namespace' >&2; exit 2; }
work=$(mktemp -d)
owner=
trap '[ -z "$owner" ] || kill "$owner"; rm -rf "$work"' EXIT
cd "$work"

apt-get -qq download nftables libnftables1 libnftnl11 libxtables12 libmnl0 libjansson4 libedit2 2> /dev/null
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH PATH="$work/root/usr/sbin:$PATH"
version=$(nft --version)
echo "$version"
case $version in *v1.0.6*|*v1.1.3*) ;; *) echo 'another version than those that were looked at' >&2; exit 1 ;; esac

cat > seen.sh <<'SHELL'
set -euo pipefail
mkfifo commands
nft -i < commands > /dev/null &
exec 5> commands
echo 'add table inet kept { flags owner; }' >&5
for _ in $(seq 100); do
    nft list table inet kept > /dev/null 2>&1 && break
    sleep 0.1
done
for table in kept other; do
    code=0
    printf 'table inet %s {\n    chain c { }\n}\n' "$table" > rules.nft
    nft -c -f rules.nft > words 2>&1 || code=$?
    echo "check $table: exit $code$(grep -qs 'Operation not permitted' words && echo ', Operation not permitted' || true)"
done
code=0
nft flush ruleset > words 2>&1 || code=$?
echo "flush: exit $code, $(wc -c < words) bytes said, tables left: $(nft list tables)"
exec 5>&-
wait
SHELL
unshare --net bash seen.sh > seen
cat seen
diff - seen <<'SEEN' || { echo changed >&2; exit 1; }
check kept: exit 1, Operation not permitted
check other: exit 0
flush: exit 0, 0 bytes said, tables left: table inet kept
SEEN
