# What tests/bench/compare measures with: what must be installed, content, upstream, certificate, and this proxy's instances.
# Sourced by it. "work" is the folder of the run, "root" the tree.

say() { printf '%s\n' "compare: $*" >&2; }
fail() { say "$@" && exit 1; }

install() { # PACKAGE...: from Debian, those that are missing
  local package wanted=() leave=""
  for package in "$@"; do
    [ "$package" != nodejs ] || ! command -v node >/dev/null || continue
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || wanted+=("$package")
  done
  [ "${#wanted[@]}" -gt 0 ] || return 0
  [ "$(id -u)" -eq 0 ] || fail "install as root: ${wanted[*]}"
  say "from Debian: ${wanted[*]}"
  # Daemons that come with the packages stay down.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    leave=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$leave"
    chmod 755 "$leave"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${wanted[@]}" </dev/null >/dev/null || { rm -f "$leave" && fail "apt-get failed"; }
  [ -z "$leave" ] || rm -f "$leave"
}

build() { # PROJECT: Release, leaving no build server behind
  dotnet build "$1" --configuration Release --nologo --verbosity quiet -m:1 --disable-build-servers >&2
}

# Content -------------------------------------------------------------------------------------------------------------------------

declare -A process port
mib=$((1024 * 1024))
schemes=(http https)
entries=100
built=bin/Release/net10.0

free_ports() { # NAME...: a port on loopback for each
  local free i names=("$@")
  mapfile -t free < <(node -e '
    const net = require("net");
    const servers = Array.from({ length: Number(process.argv[1]) }, () => net.createServer().listen(0, "127.0.0.1"));
    Promise.all(servers.map(s => new Promise(done => s.on("listening", done)))).then(() => {
      for (const s of servers) { console.log(s.address().port); s.close(); }
    });' "${#names[@]}")
  for i in "${!names[@]}"; do port[${names[i]}]=${free[i]}; done
}

blob() { # BYTES: makes one, prints its digest's hex
  head -c "$1" /dev/urandom >"$work/blob"
  local hex
  hex=$(sha256sum "$work/blob" | cut -d ' ' -f 1)
  mv "$work/blob" "$content/blobs/$hex"
  echo "$hex"
}

image() { # NAME BYTES...: an image with layers of these sizes, in every repository whose last part is NAME and a number
  local name=$1 hex config size layers="" type=application/vnd.oci.image
  shift
  for size in "$@"; do
    hex=$(blob "$size")
    layers+="${layers:+,}{\"mediaType\":\"$type.layer.v1.tar+gzip\",\"digest\":\"sha256:$hex\",\"size\":$size}"
  done
  printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]},"comment":"%s"}' "$name" >"$work/config"
  config=$(sha256sum "$work/config" | cut -d ' ' -f 1)
  printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"sha256:%s","size":%d},"layers":[%s]}' \
    "$type.manifest.v1+json" "$type.config.v1+json" "$config" "$(stat -c %s "$work/config")" "$layers" >"$work/manifest"
  mv "$work/config" "$content/blobs/$config"
  hex=$(sha256sum "$work/manifest" | cut -d ' ' -f 1)
  mv "$work/manifest" "$content/manifests/$hex"
  cat >>"$work/manifests.conf" <<NGINX
location ~ "^/v2/[^/]+/${name}[0-9]*/manifests/(latest|sha256:$hex)\$" {
  default_type $type.manifest.v1+json;
  add_header Docker-Content-Digest sha256:$hex;
  alias $content/manifests/$hex;
}
NGINX
  echo "$hex"
}

hot_content() { # the image of the hot rows: sets "manifest" (its manifest's hex), "small" and "large" (its layers' digests)
  manifest=$(image bench "$mib" $((100 * mib)))
  small=$(grep -o '"digest":"sha256:[0-9a-f]*","size":1048576}' "$content/manifests/$manifest" | cut -d '"' -f 4)
  large=$(grep -o '"digest":"sha256:[0-9a-f]*","size":104857600}' "$content/manifests/$manifest" | cut -d '"' -f 4)
}

cold_content() { # NAME: an image of 40 MiB in nine layers
  image "$1" $((32 * mib)) $mib $mib $mib $mib $mib $mib $mib $mib >/dev/null
}

# Programs ------------------------------------------------------------------------------------------------------------------------

start() { # NAME COMMAND...
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
  process[$name]=$!
}

stop() { # NAME...
  local name
  for name in "$@"; do kill "${process[$name]}" 2>/dev/null || true; done
  for name in "$@"; do
    wait "${process[$name]}" 2>/dev/null || true
    unset "process[$name]"
  done
}

await() { # NAME URL [CURL-OPTIONS...]: until it answers at all
  local name=$1 url=$2
  shift 2
  for _ in $(seq 150); do
    if curl --silent --max-time 2 --output /dev/null "$@" "$url"; then return; fi
    kill -0 "${process[$name]}" 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/$name.log" >&2
  fail "$name did not start"
}

address() { # SCHEME PEER
  local key=$2
  [ "$1" = http ] || key+=-tls
  echo "127.0.0.1:${port[$key]}"
}

filled() { # TEMPLATE PEER UPSTREAM: the file with its places filled in
  sed -e "s|@WORK@|$work|g; s|@CONTENT@|$content|g; s|@UPSTREAM@|$3|g" \
    -e "s|@HTTP@|${port[$2]}|g; s|@HTTPS@|${port[$2-tls]:-0}|g" \
    -e "s|@CERTIFICATE@|$work/certificates/mirror.crt|g; s|@KEY@|$work/certificates/mirror.key|g" "$here/$1" >"$work/$1"
  echo "$work/$1"
}

policy() { # ENTRIES
  seq "$1" | awk 'BEGIN { printf "{\"organizations\":[{\"name\":\"acme\",\"members\":[\"bob\"],\"enabled\":true,\"allow\":{\"official\":true},\"allowlist\":[" }
    { printf "%s{\"repository\":\"approved/image%d\",\"reason\":\"measured\"}", (NR > 1 ? "," : ""), $1 } END { print "]}]}" }' >"$work/policy.json.new"
  mv "$work/policy.json.new" "$work/policy.json"
}

configure() { # NAME SCHEME: this proxy's configuration
  cat >"$work/$1.json" <<JSON
{
  "Listen": { "Mirror": "$2://127.0.0.1:${port[$1]}", "Admin": "http://127.0.0.1:${port[$1-admin]}", "Console": "off" },
  "PublicUrl": "$2://127.0.0.1:${port[$1]}",
  "Upstream": {
    "Registry": "http://127.0.0.1:${port[hub]}", "Auth": "http://127.0.0.1:${port[hub-auth]}",
    "Hub": "http://127.0.0.1:${port[hub-api]}", "Index": "http://127.0.0.1:${port[hub-index]}",
    "RedirectHosts": [ "127.0.0.1:${port[hub-cdn]}" ]
  },
  "Policy": { "File": "$work/policy.json" },
  "Certificates": { "Directory": "$work/certificates" },
  "Data": { "Directory": "$work/$1.data" }
}
JSON
}

start_upstream() { # the files, and the tests' Docker Hub before them
  start files nginx -p "$work" -c "$(filled nginx-files.conf files "")"
  await files "http://127.0.0.1:${port[files]}/v2/"

  cat >"$work/hub.json" <<'JSON'
{
  "users": [ { "name": "bob", "password": "builder" }, { "name": "someuser", "password": "anyone" } ],
  "organizations": [ { "name": "acme", "members": { "bob": "Member" } } ]
}
JSON
  start hub dotnet "$root/tests/ImageAccess.FakeHub/$built/ImageAccess.FakeHub.dll" --data "$work/hub.json" --backend "http://127.0.0.1:${port[files]}" \
    --registry-port "${port[hub]}" --auth-port "${port[hub-auth]}" --hub-port "${port[hub-api]}" --cdn-port "${port[hub-cdn]}" --index-port "${port[hub-index]}"
  await hub "http://127.0.0.1:${port[hub]}/v2/"
}

create_certificate() { # DLL: by this proxy, with the authority that the clients are to trust
  configure imageaccess-tls https
  dotnet "$1" certificates create --config "$work/imageaccess-tls.json" >"$work/certificates.log" 2>&1 || { cat "$work/certificates.log" >&2; fail "no certificate"; }
  cat "$work/certificates/mirror.crt" "$work/certificates/mirror.key" >"$work/both.pem"
  mkdir "$work/trusted"
  cp "$work/certificates/ca.crt" "$work/trusted/ca.crt"
}

start_proxy() { # NAME DLL [PREFIX...]: an instance for each scheme
  local name=$1 dll=$2
  shift 2
  configure "$name" http
  configure "$name-tls" https
  start "$name" "$@" dotnet "$dll" --config "$work/$name.json"
  start "$name-tls" "$@" dotnet "$dll" --config "$work/$name-tls.json"
}

await_peer() { # PEER: until it answers by both schemes
  local scheme name
  for scheme in "${schemes[@]}"; do
    name=$1
    [ "$scheme" = http ] || [ -z "${process[$1-tls]:-}" ] || name=$1-tls
    await "$name" "$scheme://$(address "$scheme" "$1")/v2/" --cacert "$work/certificates/ca.crt"
  done
}
