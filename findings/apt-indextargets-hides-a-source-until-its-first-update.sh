#!/usr/bin/env bash
# `apt-get indextargets` lists no source whose lists were not fetched yet; `apt-get update --print-uris` lists all.
#
# apt 2.6.1 (Debian 12), in a directory of its own, without root and without the network. Before the first `apt-get update`
# after a source was added (or where /var/lib/apt/lists was emptied, as in images), the tool for reading what is configured
# says nothing of it, exit 0. A program that adds a repository because indextargets does not show it adds it twice, and
# with another keyring than the first apt refuses to work at all, exit 100, also for every other repository:
#   E: Conflicting values set for option Signed-By regarding source …
# `apt-get update --print-uris` reads the same files (one-line and deb822), fetches nothing, and needs no lists.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
version=$(apt-get --version) && version=${version%%$'\n'*}
echo "$version"
case $version in 'apt 2.6.1 '*) ;; *) echo 'another version than the one that was looked at' >&2; exit 1 ;; esac

mkdir -p etc/apt/{apt.conf.d,preferences.d,sources.list.d,trusted.gpg.d} var/lib/apt/lists/partial var/lib/dpkg \
    var/cache/apt/archives/partial
: > var/lib/dpkg/status
touch one.gpg two.gpg
unset APT_CONFIG
apt() { apt-get -o Dir="$work" -o Dir::State::status="$work/var/lib/dpkg/status" "$@" 2> words; }

echo "deb [signed-by=$work/one.gpg] https://packages.example/linux/debian bookworm stable" > etc/apt/sources.list.d/one.list
{
    code=0
    listed=$(apt indextargets --format '$(REPO_URI)') || code=$?
    echo "indextargets: exit $code, '$listed'"
    listed=$(apt update --print-uris | sed -n "s|^'\(.*\)/dists/.*InRelease.*|\1|p") || code=$?
    echo "print-uris: exit $code, '$listed'"
    printf 'Types: deb\nURIs: https://packages.example/linux/debian\nSuites: bookworm\nComponents: stable\nSigned-By: %s\n' \
        "$work/two.gpg" > etc/apt/sources.list.d/two.sources
    apt update --print-uris > /dev/null || code=$?
    echo "added twice: exit $code, $(grep -o -m 1 'Conflicting values set for option Signed-By' words)"
} | tee got
diff -u - got <<'END'
indextargets: exit 0, ''
print-uris: exit 0, 'https://packages.example/linux/debian'
added twice: exit 100, Conflicting values set for option Signed-By
END
echo 'as described above'
