# shellcheck shell=bash
# The least that a no-op can cost: one ssh session that runs this by bash, with the same checks as a deployment.
# Before this text stands llm_gateway/hosts/host_state.sh with its variables, and ADDRESS CHAT EMBEDDING DIMENSIONS.
set -u
value() { sed -n "s/^$1=//p" "$DIRECTORY/secrets.env" | tr -d "'"; }
request() { # request METHOD PATH BODY TOKEN: HTTP by bash itself, on the host
    exec 3<>"/dev/tcp/$ADDRESS/$PORT"
    printf '%s %s HTTP/1.0\r\nHost: gateway\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
        "$1" "$2" "$4" "$(printf %s "$3" | wc -c)" "$3" >&3
    cat <&3
    exec 3>&-
}
token=$(value ONEAPI_ACCESS_TOKEN)
# host_state.sh has asked the admin API already, as a deployment does; the key is needed here too.
tokens=$(request GET '/api/token/search?keyword=' '' "$token")
key=$(printf '%s' "$tokens" | sed -n 's/.*"key": *"\([^"]*\)".*/\1/p')
before=$(date +%s%N)
request POST /v1/chat/completions "{\"model\":\"$CHAT\",\"messages\":[{\"role\":\"user\",\"content\":\"Answer with one word: which colour is the sky?\"}]}" "Bearer sk-$key" | grep -q '"choices"' &
completion=$!
request POST /v1/embeddings "{\"model\":\"$EMBEDDING\",\"input\":[\"天空是什么颜色?\"],\"dimensions\":$DIMENSIONS,\"encoding_format\":\"float\"}" "Bearer sk-$key" | grep -q '"embedding"' || exit 1
wait "$completion" || exit 1
echo "model $(( ($(date +%s%N) - before) / 1000 ))"
