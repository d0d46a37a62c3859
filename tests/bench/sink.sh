# tests/bench/compare --sink: what bringing decisions into the database costs. Sourced by it. Four instances of one build take turns: with
# SQLite, with PostgreSQL, and each beside one without a database: it is told of a server that is not there, decides as ever and writes
# its audit file. What brings decisions in is compiled as it runs, a batch each second: all run for a minute before the first round.

without="Host=127.0.0.1;Port=9;Username=nobody;Timeout=1"
instances=(imageaccess-sqlite imageaccess-sqlite-without imageaccess-postgres imageaccess-postgres-without)
declare -A database=([imageaccess-sqlite]="" [imageaccess-sqlite-without]=$without [imageaccess-postgres]="" [imageaccess-postgres-without]=$without)
schemes=(http)
rate=2000 clients=64 longer=10 warmth=60

install curl nginx wrk skopeo nodejs postgresql
if [ -z "${NO_BUILD:-}" ]; then
  say "building (Release)"
  build tests/ImageAccess.FakeHub
  build src/ImageAccess.Proxy
fi

free_ports files hub hub-auth hub-api hub-cdn hub-index database "${instances[@]}" "${instances[@]/%/-admin}"
hot_content
start_upstream
policy "$entries"

tools=$(find /usr/lib/postgresql -name initdb -printf '%h\n' | sort -V | tail -n 1)
chmod 755 "$work"
mkdir "$work/postgres.data" && chown postgres "$work/postgres.data"
runuser -u postgres -- "$tools/initdb" --pgdata "$work/postgres.data" --auth trust --no-sync >"$work/initdb.log" 2>&1 || fail "initdb failed"
start server runuser -u postgres -- "$tools/postgres" -D "$work/postgres.data" -p "${port[database]}" -k "" -c listen_addresses=127.0.0.1
query() { runuser -u postgres -- "$tools/psql" --quiet --tuples-only --no-align --host 127.0.0.1 --port "${port[database]}" --dbname "$1" --command "$2" 2>/dev/null; }
for _ in $(seq 100); do query postgres "SELECT 1" >/dev/null && break || sleep 0.2; done

start_instances() {
  local name
  query postgres "CREATE DATABASE sink" || fail "no database"
  database[imageaccess-postgres]="Host=127.0.0.1;Port=${port[database]};Username=postgres;Database=sink"
  for name in "${instances[@]}"; do
    configure "$name" http
    start "$name" env ${database[$name]:+"IMAGEACCESS_Database__ConnectionString=${database[$name]}"} dotnet "$proxy" --config "$work/$name.json"
  done
  for name in "${instances[@]}"; do
    await "$name" "http://$(address http "$name")/v2/"
    first_pull http "$name"
    warm_up http "$name" manifests
    aim manifests http "$name"
    PAUSE=$((clients * 1000 / rate)) load http "$name" "$clients" "$warmth" >/dev/null
  done
}

waiting() { # NAME: bytes of the audit file that are not in the database yet
  curl --silent --max-time 5 "http://127.0.0.1:${port[$1-admin]}/metrics" | awk '/^imageaccess_usage_waiting_bytes/ { sum += $2 } END { print sum + 0 }'
}

taken_in() { # NAME: waits until nothing waits; what it says of that is as old as its last look
  sleep 3
  for _ in $(seq 600); do
    [ "$(waiting "$1")" -gt 0 ] || return 0
    sleep 0.5
  done
  fail "$1 does not take in what it missed"
}

steady() { # NAME: 2,000 a second; what is brought in a moment later counts too
  local before said
  aim manifests http "$1"
  before=$(ticks "$1")
  said=$(PAUSE=$((clients * 1000 / rate)) load http "$1" "$clients" "$longer")
  sleep 2
  printf '{"row":"steady","scheme":"http","peer":"%s","round":%d,"cpu":%s,%s\n' "$1" "$round" \
    "$(awk "BEGIN { print ($(ticks "$1") - $before) / $ticks_a_second }")" "${said#\{}" >>"$results"
}

full() { # NAME: as fast as it goes; then it may take in what it missed, so that the next one is measured alone
  aim manifests http "$1"
  measure manifests http "$1" 32
  [[ $1 == *-without ]] || taken_in "$1"
}

round=0 # what is pulled before counts nowhere
say "warming up, $((${#instances[@]} * warmth)) s"
start_instances
for ((round = 1; round <= rounds; round++)); do
  say "round $round of $rounds"
  for kind in imageaccess-sqlite imageaccess-postgres; do
    order=("$kind" "$kind-without")
    [ $((round % 2)) = 0 ] || order=("$kind-without" "$kind")
    for name in "${order[@]}"; do steady "$name"; done
    for name in "${order[@]}"; do full "$name"; done
  done
done
stop "${instances[@]}"

json=${json:-$root/TestResults/sink.json}
mkdir -p "$(dirname "$json")"
machine | node "$here/sink.mjs" "$results" "$json"
say "results in $json"
