# tests/bench/compare without --against: this proxy beside its peers. Sourced by it.

install curl nginx haproxy docker-registry wrk skopeo nodejs ${profile:+linux-perf}
if [ -z "${NO_BUILD:-}" ]; then
  say "building (Release)"
  build tests/ImageAccess.Benchmarks
fi

free_ports files hub hub-auth hub-api hub-cdn hub-index imageaccess imageaccess-admin imageaccess-tls imageaccess-tls-admin \
  nginx-cache nginx-cache-tls nginx-plain nginx-plain-tls nginx-hub nginx-hub-tls haproxy haproxy-tls \
  registry registry-tls kestrel kestrel-tls
say "content: one image for the hot rows, $((rounds * 2)) for the cold ones"
hot_content
for ((round = 1; round <= rounds; round++)); do
  for scheme in "${schemes[@]}"; do cold_content "cold-$scheme-${round}x"; done
done

say "starting"
start_upstream
policy "$entries"
create_certificate "$proxy"
# A profile needs the names of the code that is compiled at run time, and all code compiled at run time.
mapped=()
[ -z "$profile" ] || mapped=(env DOTNET_PerfMapEnabled=3 DOTNET_ReadyToRun=0 DOTNET_EnableWriteXorExecute=0)
start_proxy imageaccess "$proxy" "${mapped[@]}"

start nginx-cache nginx -p "$work" -c "$(filled nginx-cache.conf nginx-cache "${port[files]}")"
start nginx-plain nginx -p "$work" -c "$(filled nginx-plain.conf nginx-plain "${port[files]}")"
start nginx-hub nginx -p "$work" -c "$(filled nginx-hub.conf nginx-hub "127.0.0.1:${port[hub]}")"
start haproxy haproxy -db -f "$(filled haproxy.cfg haproxy "${port[files]}")"
for name in registry registry-tls; do
  tls=""
  [ "$name" = registry ] || tls="  tls:\n    certificate: $work/certificates/mirror.crt\n    key: $work/certificates/mirror.key"
  sed -e "s|@WORK@|$work|; s|@NAME@|$name|; s|@PORT@|${port[$name]}|; s|@UPSTREAM@|${port[files]}|; s|@TLS@|$tls|" "$here/registry.yml" >"$work/$name.yml"
  start "$name" env OTEL_TRACES_EXPORTER=none docker-registry serve "$work/$name.yml"
done
start kestrel dotnet "$root/tests/ImageAccess.Benchmarks/$built/ImageAccess.Benchmarks.dll" kestrel "${port[kestrel]}" "${port[kestrel-tls]}" \
  "$work/certificates/mirror.crt" "$work/certificates/mirror.key" "$content/manifests/$manifest" "$content/blobs"

peers=(imageaccess nginx-cache nginx-plain haproxy registry kestrel)
pullers=(imageaccess nginx-cache nginx-plain nginx-hub haproxy registry)
for peer in "${peers[@]}" nginx-hub; do await_peer "$peer"; done

round=0
say "warming up, and comparing what each serves"
for scheme in "${schemes[@]}"; do
  for peer in "${pullers[@]}"; do first_pull "$scheme" "$peer"; done
  for peer in imageaccess kestrel; do warm_up "$scheme" "$peer" manifests blobs-1MiB; done
  warm_up "$scheme" imageaccess denials
done
rm -rf "$results"

if [ -n "$profile" ]; then
  mkdir -p "$profile"
  for scheme in "${schemes[@]}"; do
    for row in manifests blobs-1MiB denials; do
      name=imageaccess
      [ "$scheme" = http ] || name=imageaccess-tls
      aim "$row" "$scheme" imageaccess
      load "$scheme" imageaccess "$connections" 10 >"$work/load" &
      loading=$!
      sleep 2
      perf record --quiet --freq 499 --call-graph fp --pid "${process[$name]}" --output "$work/perf.data" -- sleep 6 >"$work/perf.log" 2>&1 ||
        { cat "$work/perf.log" >&2; fail "perf record failed"; }
      wait "$loading" || fail "the load failed"
      file=$profile/$row-$scheme.txt
      {
        echo "By part, of the samples in it itself:"
        perf report --input "$work/perf.data" --stdio --no-children --call-graph none --sort dso 2>/dev/null | grep '%' | sed -n 1,12p
        echo "By function, of the samples in it itself:"
        perf report --input "$work/perf.data" --stdio --no-children --call-graph none --sort symbol 2>/dev/null | grep '%' | sed -n 1,40p
        echo "By function, with what it calls:"
        perf report --input "$work/perf.data" --stdio --children --call-graph none --sort symbol 2>/dev/null | grep '%' | sed -n 1,150p
      } | sed -E 's/ *$//; s/\[\.\] .*\[[A-Za-z0-9.-]+\] ([^(]*)\(.*$/\1/; /\[\.\] 0x/d' >"$file"
      say "$file ($(sed 's/.*"requests":\([0-9]*\).*/\1/' "$work/load") requests in 10 s)"
    done
  done
  exit 0
fi

for ((round = 1; round <= rounds; round++)); do
  say "round $round of $rounds"
  for scheme in "${schemes[@]}"; do
    for row in manifests blobs-1MiB blobs-100MiB; do
      for peer in "${peers[@]}"; do hot "$row" "$scheme" "$peer"; done
    done
    hot denials "$scheme" imageaccess
    for peer in "${pullers[@]}"; do
      pull cold-pull "$scheme" "$peer" "library/cold-$scheme-${round}x"
    done
    for peer in "${pullers[@]}"; do
      pull hot-pull "$scheme" "$peer" "library/cold-$scheme-${round}x"
    done
  done
done

# What grows tenfold ------------------------------------------------------------------------------------------------------------------

for ((round = 1; round <= rounds; round++)); do
  say "tenfold, round $round of $rounds"
  repositories 10 imageaccess
  measure grown-base http imageaccess 32
  measure grown-connections http imageaccess 320
  entries_in_force $((entries * 10)) imageaccess
  measure grown-entries http imageaccess 32
  entries_in_force "$entries" imageaccess
  repositories 100 imageaccess
  measure grown-repositories http imageaccess 32
done

if [ "$soak" -gt 0 ]; then
  say "$soak s under load"
  : >"$work/targets"
  targets http imageaccess library/bench0 manifests/latest
  targets http imageaccess library/bench0 "blobs/$small"
  load http imageaccess 32 "$soak" >"$work/soak" &
  loading=$!
  for ((i = 0; i * 5 < soak; i++)); do
    printf '{"row":"soak","scheme":"http","peer":"imageaccess","round":%d,"kilobytes":%d}\n' "$i" "$(kilobytes imageaccess VmRSS)" >>"$results"
    sleep 5
  done
  wait "$loading" || fail "the load of the last minute failed"
fi

for peer in "${peers[@]}" nginx-hub; do
  printf '{"row":"memory","scheme":"","peer":"%s","round":0,"kilobytes":%d}\n' "$peer" "$(kilobytes "$peer" VmHWM)" >>"$results"
done

json=${json:-$root/TestResults/compare.json}
mkdir -p "$(dirname "$json")"
machine "\"haproxy\": \"$(haproxy -v | sed -n '1s/HAProxy version \([^ -]*\).*/\1/p')\", \"docker-registry\": \"$(docker-registry --version | awk '{ print $NF }')\"" |
  node "$here/summary.mjs" "$results" "$json"
say "results in $json"
