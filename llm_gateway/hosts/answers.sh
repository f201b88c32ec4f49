# How a script of a host says what a run reads (llm_gateway/hosts/answers.py): an answer a line, its name, a space, its bytes
# in base64. What cannot be read is an empty answer; without the last one, the others are cut off.
emit() { printf '%s ' "$1"; base64 -w0; printf '\n'; }
content() { [ ! -f "$2" ] || emit "$1" < "$2"; }
end() { printf complete | emit end; }
