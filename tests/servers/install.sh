#!/usr/bin/env bash
# Installs the real servers that the tests talk to, once per machine, into a cache outside the checkout.
#
#   tests/servers/install.sh [kafka] [prometheus] [prometheus2] [promtool] [vmagent] [k6] [helm] [kubeconform]
#                            [compose] [java] [chromium] [postgresql]
#
# Without arguments: all of them. What cannot be installed here is named in one line each; the script
# then still exits 0, because the tests report what they did not run (and fail under CI=true).
# Versions are pinned below. Go programs are built from the Go module proxy, Kafka comes from Maven Central,
# the rest from Debian or Ubuntu packages (needs root, or sudo without a password).
set -u

CACHE="${DRIFTLINE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/driftline/tools}"
KAFKA=4.4.0
SLF4J=1.7.36
GO=go1.25.0           # fetched where the distribution's is older than 1.21
PROMETHEUS=v0.308.0   # 3.8.0
PROMETHEUS2=v0.42.0   # 2.42.0, the oldest sender that is promised
VMAGENT=v1.130.0
K6=v1.3.0
HELM=v3.19.0
KUBECONFORM=v0.7.0
COMPOSE=v2.16.2       # the Compose specification's own loader
mkdir -p "$CACHE/bin"

missing() { printf 'not installed: %s (%s)\n' "$1" "$2"; }

if [ "$(id -u)" = 0 ]; then as_root() { "$@"; }
elif sudo -n true 2>/dev/null; then as_root() { sudo -n "$@"; }
else as_root() { return 1; }
fi

apt_updated=
apt_install() {  # apt_install PACKAGE...
  command -v apt-get >/dev/null || return 1
  if [ -z "$apt_updated" ]; then as_root apt-get -qq update >/dev/null 2>&1 || return 1; apt_updated=1; fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null 2>&1
}

is_recent() { go version 2>/dev/null | grep -Eq 'go1\.(2[1-9]|[3-9][0-9])'; }

has_go() {  # Go 1.21 or later fetches the exact toolchain that a module asks for
  [ -x "$CACHE/$GO/bin/go" ] && export PATH="$CACHE/$GO/bin:$PATH"
  is_recent && return 0
  command -v go >/dev/null || apt_install golang-go ca-certificates || return 1
  is_recent || fetch_go
}

fetch_go() {  # an older one, such as Debian 12's, can still fetch a recent one: toolchains are modules too
  local arch module; arch=$(go env GOARCH) module="golang.org/toolchain@v0.0.1-$GO.linux-$(go env GOARCH)"
  ( cd / && go mod download "$module" ) >/dev/null 2>&1 || return 1
  rm -rf "${CACHE:?}/$GO.part" && cp -R "$(go env GOMODCACHE)/$module" "$CACHE/$GO.part" || return 1
  chmod -R u+w "$CACHE/$GO.part" && chmod +x "$CACHE/$GO.part"/bin/* "$CACHE/$GO.part/pkg/tool/linux_$arch"/* || return 1
  mv "$CACHE/$GO.part" "$CACHE/$GO" && export PATH="$CACHE/$GO/bin:$PATH"
  is_recent
}

go_build() {  # go_build NAME PACKAGE VERSION: some modules carry "exclude", which "go install" refuses
  [ -x "$CACHE/bin/$1-$3" ] && { ln -sf "$1-$3" "$CACHE/bin/$1"; return 0; }
  has_go || { missing "$1" "needs Go 1.21 or later"; return 1; }
  local work; work=$(mktemp -d)
  ( cd "$work" && go mod init tools && go get "$2@$3" && CGO_ENABLED=0 go build -ldflags='-s -w' -o "$CACHE/bin/$1-$3" "$2" ) >"$work/log" 2>&1 \
    || { missing "$1" "go build failed: $(tail -n 1 "$work/log")"; return 1; }
  ln -sf "$1-$3" "$CACHE/bin/$1"
  chmod -R u+w "$work" && rm -rf "$work"
}

install_java() {
  command -v java >/dev/null || apt_install openjdk-17-jre-headless || missing Java "install a JRE, 17 or later"
}

install_kafka() {
  local libs="$CACHE/kafka-$KAFKA"
  if [ -e "$libs/complete" ]; then ln -sfn "kafka-$KAFKA" "$CACHE/kafka"; return 0; fi
  install_java
  command -v mvn >/dev/null || apt_install maven || { missing Kafka "needs Maven"; return 1; }
  local work; work=$(mktemp -d)
  cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>driftline.tests</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>$SLF4J</version></dependency>
  </dependencies>
</project>
POM
  mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$libs" >"$work/log" 2>&1 \
    || { missing Kafka "Maven failed: $(tail -n 1 "$work/log")"; return 1; }
  touch "$libs/complete"
  ln -sfn "kafka-$KAFKA" "$CACHE/kafka"
  rm -rf "$work"
}

install_prometheus() {
  if ! go_build prometheus github.com/prometheus/prometheus/cmd/prometheus "$PROMETHEUS"; then
    command -v prometheus >/dev/null || apt_install prometheus || missing Prometheus "no Go and no package"
    # The package starts a server of its own; the tests start theirs on free ports.
    as_root systemctl disable --now prometheus prometheus-node-exporter >/dev/null 2>&1 || true
  fi
}

# Its go.mod replaces modules, which holds only in the main module: built in its own directory.
install_prometheus2() {
  local program="$CACHE/bin/prometheus2-$PROMETHEUS2" module="github.com/prometheus/prometheus@$PROMETHEUS2"
  if [ ! -x "$program" ]; then
    has_go || { missing "Prometheus 2" "needs Go 1.21 or later"; return 1; }
    local work source; work=$(mktemp -d) source="$(go env GOMODCACHE)/$module"
    ( cd / && go mod download "$module" && cp "$source/go.mod" "$source/go.sum" "$work" && chmod u+w "$work"/go.* \
        && cd "$source" && CGO_ENABLED=0 go build -mod=mod -modfile="$work/go.mod" -ldflags='-s -w' -o "$program" ./cmd/prometheus
    ) >"$work/log" 2>&1 || { missing "Prometheus 2" "go build failed: $(tail -n 1 "$work/log")"; return 1; }
    rm -rf "$work"
  fi
  ln -sf "${program##*/}" "$CACHE/bin/prometheus2"
}

# The package of Debian and Ubuntu brings both.
install_promtool() {
  go_build promtool github.com/prometheus/prometheus/cmd/promtool "$PROMETHEUS" || command -v promtool >/dev/null \
    || missing promtool "no Go and no package"
}

install_k6() { go_build k6 go.k6.io/k6 "$K6"; }
install_vmagent() { go_build vmagent github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent "$VMAGENT"; }
install_helm() { go_build helm helm.sh/helm/v3/cmd/helm "$HELM"; }
install_kubeconform() { go_build kubeconform github.com/yannh/kubeconform/cmd/kubeconform "$KUBECONFORM"; }

install_compose() { go_build compose-spec github.com/compose-spec/compose-go/v2/cmd "$COMPOSE"; }

install_chromium() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
    || apt_install chromium || missing Chromium "install chromium"
}

install_postgresql() {
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || apt_install postgresql || missing PostgreSQL "install postgresql"
}

for name in ${*:-java kafka chromium postgresql kubeconform compose helm k6 prometheus prometheus2 promtool vmagent}; do
  "install_$name" || true
done
