#!/bin/sh
# render.sh FILE SCENE: renders a scene with `renderer serve`, and downloads what it makes. Needs curl 7.82 and jq 1.6.
# SERVE_URL is the server, SERVE_TOKEN the token, if it has tokens.
set -eu
server=${SERVE_URL:-http://localhost:8080}
[ -z "${SERVE_TOKEN:-}" ] || set -- "$@" --header "Authorization: Bearer $SERVE_TOKEN"
file=$1 scene=$2
shift 2

# --retry is safe: a request with the same Idempotency-Key makes one job
job=$(jq --null-input --rawfile code "$file" --arg scene "$scene" '{code: $code, scenes: [$scene], settings: {quality: "l"}}' |
  curl --silent --show-error --fail-with-body --retry 5 "$@" "$server/api/v1/jobs" \
    --header "Idempotency-Key: $(date +%s)-$$" --json @-) || {
  echo "$job" | jq --raw-output '"\(.detail) (\(.hint))"' >&2
  exit 1
}
id=$(echo "$job" | jq --raw-output .id)

# ends with the job; if the server is restarted meanwhile, the log comes once more
curl --silent --no-buffer --fail --retry 60 --retry-all-errors --retry-delay 1 "$@" "$server/api/v1/jobs/$id/events" |
  sed -un 's/^data: //p' | jq --raw-output --unbuffered 'arrays[].text | strings'
curl --silent "$@" "$server/api/v1/jobs/$id" | jq --exit-status --raw-output '.units[] | select(.message) | .message' && exit 1

curl --silent "$@" "$server/api/v1/jobs/$id/outputs" | jq --raw-output '.outputs[] | .url, .path' |
  while read -r url && read -r path; do
    curl --silent --fail --create-dirs --output "$path" "$@" "$server$url"
    echo "$path"
  done
