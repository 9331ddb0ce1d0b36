#!/usr/bin/env bash
# examples/jaeger/run.sh [JAEGER]
#
# Everything of compose.yaml without containers: the given Jaeger (v2), three backends, the proxy, and
# requests until Ctrl-C. Without JAEGER, spans go to whatever OTEL_EXPORTER_OTLP_ENDPOINT names.
set -euo pipefail
if [[ ${1:-} == */* && -e $1 ]]; then set -- "$(realpath "$1")"; fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export BACKENDS=${BACKENDS:-127.0.0.1:3001,127.0.0.1:3002,127.0.0.1:3003}
export LEASTWISE_LISTEN=${LEASTWISE_LISTEN:-127.0.0.1:8080}
export LEASTWISE_ADMIN=${LEASTWISE_ADMIN:-127.0.0.1:9900}
export OTEL_EXPORTER_OTLP_ENDPOINT=${OTEL_EXPORTER_OTLP_ENDPOINT:-http://127.0.0.1:4318}
# Jaeger takes traces alone; metrics are at http://$LEASTWISE_ADMIN/metrics.
export OTEL_METRICS_EXPORTER=${OTEL_METRICS_EXPORTER:-none}

if [[ $# -gt 0 ]] && ! command -v "$1" >/dev/null; then
  echo "found $1, expected Jaeger's executable" >&2
  exit 2
fi

# Bun itself and not npx, which would stay between us and the process that has to be ended.
bun=$(command -v bun || npx -y bun@1.4.5 -e 'console.log(process.execPath)')
[[ -x dist/leastwise ]] || "$bun" run build

trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
trap 'exit 0' INT TERM

if [[ $# -gt 0 ]]; then
  "$1" &
fi

IFS=, read -ra addresses <<<"$BACKENDS"
kinds=(steady slow failing)
for i in 0 1 2; do
  "$bun" examples/jaeger/backend.ts "${kinds[$i]}" "${addresses[$i]##*:}" "${addresses[$i]%:*}" &
done
# A backend that is down at the first probe would have to wait for two good ones.
for address in "${addresses[@]}"; do
  until (exec 3<>"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null; do sleep 0.1; done
done

dist/leastwise serve --config examples/jaeger/leastwise.config.ts &
proxy=$!
until dist/leastwise status >/dev/null 2>&1; do
  kill -0 "$proxy" 2>/dev/null || exit 1
  sleep 0.1
done

"$bun" examples/jaeger/load.ts "http://$LEASTWISE_LISTEN" "${REQUESTS_PER_SECOND:-20}" "${LOAD_SECONDS:-Infinity}" &
wait $!
