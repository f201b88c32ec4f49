# The page of the fleet on a gateway's host. Before this text stand: units, where systemd has its files; unit, conf, users,
# port; install, the command that installs nginx; and expected, the HTTP status without the token, or nothing where none is needed.
export PATH="$PATH:/usr/sbin:/sbin"

# What Debian's package brings, a site on port 80, neither starts now nor at the next boot. While the mask stands, nginx counts
# as not installed (host_state.sh), so that the run after one that was cut off here does it again.
install_nginx() {
    systemctl mask --runtime --quiet nginx.service || return
    failed=0
    (eval "$install") || failed=1
    rm -f "$units/multi-user.target.wants/nginx.service" && systemctl unmask --runtime --quiet nginx.service && return "$failed"
}
make_token() { # read by nginx as it is: no copy of it is anywhere else
    umask 077
    mkdir -p "${users%/*}" && chmod 755 "${users%/*}" || return
    printf 'page:{PLAIN}%s\n' "$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')" > "$users.new" && mv -fT "$users.new" "$users"
}
answer() { # [with]: the HTTP status that nginx answers here with the token, or without; nothing, where it does not
    # The token is in no argument of a program.
    # shellcheck disable=SC2016 # the inner shell expands it
    timeout 5 bash -c '
        exec 3<> "/dev/tcp/127.0.0.1/$1" || exit
        printf "HEAD / HTTP/1.0\r\nHost: localhost\r\n" >&3
        [ -z "$3" ] || printf "Authorization: Basic %s\r\n" "$(sed "s/{PLAIN}//" "$2" | tr -d "\n" | base64 -w0)" >&3
        printf "\r\n" >&3 && head -n 1 <&3
    ' page "$port" "$users" "${1:-}" 2> /dev/null | cut -d ' ' -f 2
}
check() { # says what is wrong
    without=$(answer) with=$(answer with)
    case $without,$with in
        "${expected:-$with}",200 | "${expected:-$with}",404) ;; # before the first page there is none
        *)
            echo "127.0.0.1:$port answers ${without:-nothing} without the token and ${with:-nothing} with it: journalctl -u $unit" >&2
            return 1
            ;;
    esac
}
start() {
    systemctl reenable --quiet --no-reload "$unit" && systemctl daemon-reload && systemctl restart "$unit" || return
    patience=50
    until check 2> /dev/null; do
        [ $((patience -= 1)) -gt 0 ] || break
        sleep 0.2
    done
    check || {
        journalctl --no-pager --lines 12 --output cat --unit "$unit" >&2
        return 1
    }
}
take_off() {
    systemctl disable --quiet --now "$unit" && rm -f "$units/$unit" "$conf" "$users" "${conf%/*}/html/index.html" &&
        systemctl daemon-reload && rmdir --ignore-fail-on-non-empty "${conf%/*}/html" "${conf%/*}"
}
