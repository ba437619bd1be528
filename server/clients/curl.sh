#!/bin/sh
# winnow by curl: what is served, a search, its events as they come, and a chat that a search answers.
#
#   server/clients/curl.sh http://127.0.0.1:8000
#
# For a service with keys, set WINNOW_API_KEY; it goes to curl on its standard input, where no other process reads it.
set -eu
url=${1:-http://127.0.0.1:8000}
url=${url%/} url=${url%/v1}

ask() {
    path=$1 && shift
    if [ -n "${WINNOW_API_KEY:-}" ]; then printf 'header = "Authorization: Bearer %s"\n' "$WINNOW_API_KEY"; fi |
        curl --config - --silent --show-error --fail-with-body --no-buffer "$url$path" "$@"
    echo
}

post() {
    ask "$1" --header 'Content-Type: application/json' --data "$2"
}

problem='Compute 8 + 6 * 4 - 12.'
ask /v1/models
post /solve "{\"problem\": \"$problem\", \"n\": 16, \"strategy\": \"majority\", \"include\": []}"
post /solve "{\"problem\": \"$problem\", \"n\": 2, \"strategy\": \"majority\", \"include\": [], \"stream\": true}"

policy=$(ask /v1/models | sed 's/.*"data":\[{"id":"\([^"]*\)".*/\1/')
chat="[{\"role\": \"user\", \"content\": \"$problem\"}]"
post /v1/chat/completions "{\"model\": \"$policy@majority-16\", \"messages\": $chat}"
