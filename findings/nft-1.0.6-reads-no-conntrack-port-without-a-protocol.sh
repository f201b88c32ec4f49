#!/usr/bin/env bash
# `ct original proto-dst 3000`, which nftables of Debian 13 takes, is refused by Debian 12's, unless `meta l4proto` is named.
#
# nftables 1.0.6 (Debian 12) and 1.1.3 (Debian 13), in a network namespace of its own (`unshare --net`, needs root):
#   rule                                                     1.0.6                                             1.1.3
#   ct original proto-dst 3000 return                        "Can't parse symbolic invalid expressions"        taken
#   ct original protocol tcp ct original proto-dst 3000 …    the same                                          taken
#   meta l4proto tcp ct original proto-dst 3000 return       taken                                             taken
# The manual (nft(8), CT EXPRESSIONS) shows `ct original proto-dst` by itself. So a port of conntrack's takes a
# `meta l4proto` before it; conntrack's own word for the protocol does not do.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo 'run this as root: it makes a network namespace' >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

apt-get -qq download nftables libnftables1 libnftnl11 libxtables12 libmnl0 libjansson4 libedit2 2> /dev/null
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH PATH="$work/root/usr/sbin:$PATH"
version=$(nft --version)
echo "$version"
case $version in
    *v1.0.6*) alone='refused: symbolic invalid' ;;
    *v1.1.3*) alone=taken ;;
    *) echo 'another version than those that were looked at' >&2; exit 1 ;;
esac

try() { # try RULE: what nft makes of it
    printf "table inet t {\n    chain c {\n        type filter hook prerouting priority -150;\n        %s\n    }\n}\n" "$1" > rules
    if unshare --net nft -c -f rules 2> words; then
        echo taken
    elif grep -q "Can't parse symbolic invalid expressions" words; then
        echo 'refused: symbolic invalid'
    else
        cat words
    fi
}
{
    for rule in 'ct original proto-dst 3000 return' 'ct original protocol tcp ct original proto-dst 3000 return' \
        'meta l4proto tcp ct original proto-dst 3000 return'; do
        printf '%s: %s\n' "$rule" "$(try "$rule")"
    done
} | tee got
diff -u - got <<END
ct original proto-dst 3000 return: $alone
ct original protocol tcp ct original proto-dst 3000 return: $alone
meta l4proto tcp ct original proto-dst 3000 return: taken
END
echo 'as described above'
