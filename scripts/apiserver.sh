# shellcheck shell=bash
# shellcheck disable=SC2154,SC2164 # of packages.sh, which runs functions under `set -e`
# Sourced after packages.sh: a Kubernetes API server and an etcd under it, where KUBECONFIG names no cluster. Built once from Debian's
# source package of Kubernetes 1.20 (bookworm is the last release with one), whose vendor directory is complete; about four minutes on
# two processors.

# apiserver_wanting: why there can be none; nothing when there can.
apiserver_wanting() {
  if [ -e "$cache/done/apiserver" ]; then return; fi
  [ "$release" = bookworm ] || { echo "the API server is built from a source package of Debian bookworm, which this is not"; return; }
  [ "$(id -u)" = 0 ] || command -v dpkg-source >/dev/null || echo "the API server is built with dpkg-source (dpkg-dev)"
}

apt_source() { # TOOL [ARG...]: apt with source packages, and lists of its own
  LC_ALL=C "$@" -q -o Dir::Etc::sourcelist="$cache/apt/source.list" -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User="$(id -un)" \
    -o Dir::State::lists="$cache/apt/lists-source" -o Dir::Cache="$cache/apt/cache" -o Acquire::Languages=none
}

build_apiserver() {
  local src=$cache/apiserver-src go=$cache/tree/go/usr/lib/go-1.19/bin/go vendor=k8s.io/kubernetes/vendor/k8s.io version flags dirs
  rm -rf "$src"
  mkdir -p "$src/path/src/k8s.io" "$cache/apt/lists-source/partial"
  sed 's/^deb /deb-src /' "$cache/apt/$release.list" >"$cache/apt/source.list"
  apt_source apt-get update
  cd "$src"
  apt_source apt-get source --download-only kubernetes
  dpkg-source --no-check -x ./*.dsc path/src/k8s.io/kubernetes
  unpack go "$release" golang-1.19-go golang-1.19-src
  # reflect2 1.0.1 breaks when it is built with a Go of 1.18 or later.
  unpack reflect2 "$release" golang-github-modern-go-reflect2-dev
  cd path/src/k8s.io/kubernetes
  rm -f vendor/github.com/modern-go/reflect2/*.{go,s}
  cp "$cache"/tree/reflect2/usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} vendor/github.com/modern-go/reflect2/
  rm -f vendor/github.com/modern-go/reflect2/*_test.go
  export HOME=$src GOPATH=$src/path GOCACHE=$src/cache GOPROXY=off GO111MODULE=off CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=
  unset GOROOT
  if [ ! -e pkg/generated/openapi/zz_generated.openapi.go ]; then
    "$go" build -o "$src/openapi-gen" $vendor/kube-openapi/cmd/openapi-gen
    dirs=$(grep -rl '+k8s:openapi-gen=true' --include=*.go vendor/k8s.io/ staging/src/k8s.io pkg cmd 2>/dev/null | xargs -n 1 dirname |
      sed 's#^staging/src/##; s#^vendor/##; s#^pkg/#k8s.io/kubernetes/pkg/#; s#^cmd/#k8s.io/kubernetes/cmd/#' |
      grep -vE 'code-generator|sample-|_examples|testdata' | sort -u | paste -sd,)
    "$src/openapi-gen" --logtostderr --go-header-file hack/boilerplate/boilerplate.generatego.txt -O zz_generated.openapi \
      -i "$dirs" -p k8s.io/kubernetes/pkg/generated/openapi -o "$src/openapi" -r "$src/openapi.report"
    cp "$src/openapi/k8s.io/kubernetes/pkg/generated/openapi/zz_generated.openapi.go" pkg/generated/openapi/
  fi
  version=$(ls "$src"/kubernetes_*.dsc)
  version=v$(sed -E 's/.*really([0-9.]+)-.*/\1/' <<<"$version")
  flags="-s -w -X $vendor/component-base/version.gitVersion=$version -X $vendor/component-base/version.gitMajor=1 -X $vendor/component-base/version.gitMinor=20"
  mkdir -p "$cache/tree/apiserver"
  "$go" build -ldflags "$flags" -o "$cache/tree/apiserver/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
  cd "$cache"
  chmod -R u+w "$src"
  rm -rf "$src" "$cache"/tree/{go,reflect2}
}

# apiserver: have it, built now where it is not.
apiserver() {
  needs kubectl=kubernetes-client openssl=openssl
  daemons # etcd
  if [ -e "$cache/done/apiserver" ]; then return; fi
  needs dpkg-source=dpkg-dev
  once lists fetch_lists
  once apiserver build_apiserver
}

# start_apiserver DIR: in this network namespace, with its files there; DIR/kubeconfig is an administrator's, DIR/pids names the processes.
start_apiserver() {
  local dir=$1 at=127.0.0.1 PATH=$PATH
  daemons
  PATH=${DAEMONS:+$DAEMONS/bin:}$PATH
  mkdir -p "$dir"
  openssl genrsa -out "$dir/accounts.key" 2048 2>/dev/null
  echo 'administrator,administrator,administrator,"system:masters"' >"$dir/tokens.csv"
  cat >"$dir/kubeconfig" <<T
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://$at:6443", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: administrator}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
T
  etcd --data-dir "$dir/etcd" --log-level error >"$dir/etcd.log" 2>&1 & echo $! >"$dir/pids"
  "$cache/tree/apiserver/kube-apiserver" --etcd-servers=http://$at:2379 --bind-address=$at --advertise-address=$at --secure-port=6443 \
    --cert-dir="$dir/certificates" --service-cluster-ip-range=10.96.0.0/24 --token-auth-file="$dir/tokens.csv" --authorization-mode=RBAC \
    --service-account-issuer=https://kubernetes.default --service-account-signing-key-file="$dir/accounts.key" \
    --service-account-key-file="$dir/accounts.key" >"$dir/apiserver.log" 2>&1 & echo $! >>"$dir/pids"
  local end=$((SECONDS + 120))
  until KUBECONFIG=$dir/kubeconfig kubectl get --raw /readyz >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { tail -n 20 "$dir/apiserver.log" >&2; die "the API server does not start"; }
    sleep 0.5
  done
}
