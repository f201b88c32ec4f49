# Asks, from an OpenClaw host, whether its gateway answers, and how its tailnet is; changes nothing and bills nothing.
# Before this text stand tailscale-problem and: NAME and PORT of the gateway, SECONDS_TO_WAIT. Standard input: the key, a line.
# Answers are lines "name=value": http (the status code), took (microseconds), body (of a 401, in base64: One API says so,
# too, that it cannot read its database), said (what went wrong), tailnet (the addresses of tailscale0), tailscale (what
# is wrong with it, in words).
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
# bash speaks TCP by itself, so no curl is needed, and the key is in no argument.
timeout "$SECONDS_TO_WAIT" bash -c '
    read -r key
    began=${EPOCHREALTIME/./}
    exec 3<>"/dev/tcp/$1/$2" || exit
    printf "GET /v1/models HTTP/1.0\r\nHost: %s\r\nAuthorization: Bearer sk-%s\r\n\r\n" "$1" "$key" >&3
    read -r -u 3 _ status _ || { echo "said=it hangs up without an answer"; exit; }
    echo "http=$status"
    echo "took=$(( ${EPOCHREALTIME/./} - began ))"
    [ "$status" = 401 ] || exit 0
    while read -r -u 3 line && [ "${#line}" -gt 1 ]; do :; done
    echo "body=$(head -c 4096 <&3 | base64 -w0)"
' ask "$NAME" "$PORT" 2>&1 | sed 's/^ask: \(line [0-9]*: \)\{0,1\}/said=/; s/^said=connect: /said=/'
# shellcheck disable=SC2005,SC2046 # addresses, one to a word
echo "tailnet=$(echo $(ip -4 -o addr show dev tailscale0 2>/dev/null | awk '{print $4}' | cut -d/ -f1))"
echo "tailscale=$(tailscale_problem)"
