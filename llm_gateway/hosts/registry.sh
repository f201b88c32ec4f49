# reachable_registry PLACES PROXY: whether an image can be had from one of these places, each a URL or HOST[:PORT]: "yes",
# or for each why not. A registry answers 200 or 401 to GET /v2/. Waits up to 5 s for each URL.
reachable_registry() {
    reasons=''
    # shellcheck disable=SC2086 # a list of words
    for place in $1; do
        words=$(connect "$place" "$2" 2>&1) || words=$(connect "$place" '' 2>&1) || {
            reasons="$reasons$place: ${words:-no answer within 5 s}
"
            continue
        }
        echo yes
        return
    done
    printf '%s' "$reasons"
}
connect() { # PLACE PROXY; says why it fails, nothing where no answer came
    # As Docker does: a URL alone as it is; HTTP besides for a registry that may be among its insecure-registries.
    case $1 in *://*) urls=${1%/} ;; *) urls="https://$1 http://$1" ;; esac
    # Docker Hub's certificate has to be good, once there is something to judge it by (Docker's packages bring it). Of
    # another place's Docker may have been told, in certs.d or insecure-registries.
    trust=-k
    [ "$urls" != https://registry-1.docker.io ] || [ ! -e /etc/ssl/certs/ca-certificates.crt ] || trust=''
    first=''
    for url in $urls; do
        # With nobody else's proxy than that of the Docker daemon.
        if command -v curl >/dev/null; then
            # shellcheck disable=SC2086 # nothing, or an option
            said=$(curl $trust -sSL --max-redirs 5 --max-time 5 --proxy "$2" -o /dev/null -w '\nHTTP %{http_code}\n' "$url/v2/" 2>&1)
            said=$(printf '%s\n' "$said" | sed -n '/^curl: /p; /^HTTP 000/!{/^HTTP /p}')
            case $said in "HTTP 200" | "HTTP 401") return ;; esac
        else
            target=${2:-$url}
            case $target in http://*) port=80 ;; *) port=443 ;; esac
            target=${target#*://} target=${target%%/*} target=${target##*@}
            case $target in *:*) port=${target##*:} ;; esac
            # shellcheck disable=SC2016 # bash expands it, and speaks TCP by itself; TLS it does not speak
            said=$(timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2"' registry "${target%%:*}" "$port" 2>&1) && return
        fi
        [ -n "$first" ] || first=$said
    done
    printf '%s\n' "$first" | sed -n '1{s/^curl: ([0-9]*) //;tp;/^HTTP /bp;s/.*: //;:p;p}'
    return 1
}
