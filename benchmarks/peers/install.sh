#!/usr/bin/env bash
# Builds the programs that only benchmarks are measured against, once per machine, into the cache of
# tests/servers/install.sh: VictoriaMetrics and its vmalert, from the Go module proxy. Tests never need them; where
# they cannot be built, `benchmarks/against_peers.py` says so and goes on without them.
set -u

VICTORIAMETRICS=v1.140.0  # the newest that Go 1.26 builds

. "$(dirname "$0")/../../tests/servers/install.sh" prometheus  # brings go_build, too

for name in victoria-metrics vmalert; do
  go_build "$name" "github.com/VictoriaMetrics/VictoriaMetrics/app/$name" "$VICTORIAMETRICS" || true
done
