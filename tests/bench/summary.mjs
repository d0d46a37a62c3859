// Medians and ratios of what tests/bench/compare has measured: tables on standard output, everything in a file.
// summary.mjs RESULTS.jsonl JSON-FILE <MACHINE.json
import { readFileSync, writeFileSync } from "node:fs";
import { cost, faultsOf, isBlob, isPull, median, number, read, speed, table, unit } from "./results.mjs";

const [, , resultsFile, jsonFile] = process.argv;
const machine = JSON.parse(readFileSync(0, "utf8"));
const results = read(resultsFile);

const us = "imageaccess";
const peers = [us, "nginx-cache", "nginx-plain", "nginx-hub", "haproxy", "registry", "kestrel"];
const titles = {
  imageaccess: "this proxy", "nginx-cache": "nginx `proxy_cache`", "nginx-plain": "nginx, plain", "nginx-hub": "nginx, plain, before the hub",
  haproxy: "haproxy, plain", registry: "docker-registry, pull-through", kestrel: "bare Kestrel",
};

const cells = new Map();
for (const result of results) {
  if (["memory", "soak"].includes(result.row)) continue;
  const key = `${result.row} ${result.scheme} ${result.peer}`;
  if (!cells.has(key)) cells.set(key, { row: result.row, scheme: result.scheme, peer: result.peer, speeds: [], costs: [], latencies: [] });
  cells.get(key).speeds.push(speed(result));
  if (isPull(result.row)) continue;
  cells.get(key).costs.push(cost(result));
  cells.get(key).latencies.push(result.p99);
}

const find = (row, scheme, peer) => cells.get(`${row} ${scheme} ${peer}`);
for (const cell of cells.values()) {
  cell.unit = unit(cell.row);
  cell.median = median(cell.speeds);
  if (cell.costs.length) {
    cell.cpu = median(cell.costs);
    cell.p99Milliseconds = median(cell.latencies);
    cell.cpuUnit = isBlob(cell.row) ? "s/GB" : "us/request";
  }
}
const ratio = (row, scheme, peer) => {
  const [ours, theirs] = [find(row, scheme, us)?.median, find(row, scheme, peer)?.median];
  if (!ours || !theirs) return undefined;
  return isPull(row) ? theirs / ours : ours / theirs;
};
for (const cell of cells.values()) {
  if (cell.peer !== us) cell.ratio = ratio(cell.row, cell.scheme, cell.peer);
}

const rowsOf = (wanted) => ["http", "https"].flatMap((scheme) => wanted.map((row) => [row, scheme]));
const present = (rows) => peers.filter((peer) => rows.some(([row, scheme]) => find(row, scheme, peer)));

const compare = (title, rows) => {
  console.log(`${title}\n`);
  const shown = present(rows);
  table(["", ...shown.map((peer) => titles[peer])], rows.map(([row, scheme]) => [
    `${row.replace("-", " ")}, ${scheme}, ${unit(row)}`,
    ...shown.map((peer) => {
      const cell = find(row, scheme, peer);
      if (!cell) return "";
      return peer === us ? `**${number(cell.median)}**` : `${number(cell.median)} (${cell.ratio.toFixed(2)})`;
    }),
  ]));
};

console.log(`${machine.cores} cores, ${machine.memoryGiB} GiB; medians of ${machine.rounds} rounds of ${machine.secondsPerRun} s; ` +
  `.NET ${machine.versions.dotnet}, nginx ${machine.versions.nginx}, haproxy ${machine.versions.haproxy}, ` +
  `docker-registry ${machine.versions["docker-registry"]}, skopeo ${machine.versions.skopeo}.`);
console.log("In brackets: how many times as fast as that peer this proxy is.\n");

const served = rowsOf(["manifests", "blobs-1MiB", "blobs-100MiB"]);
compare("Hot, by wrk:", served);
compare("Whole pulls, by skopeo:", rowsOf(["cold-pull", "hot-pull"]));

console.log("Denials beside hot manifests, requests/s:\n");
table(["", "denials", "manifests", "ratio"], ["http", "https"].map((scheme) => {
  const [denials, manifests] = [find("denials", scheme, us).median, find("manifests", scheme, us).median];
  return [scheme, number(denials), number(manifests), (denials / manifests).toFixed(2)];
}));

console.log("Processor time of the server alone (without its upstream):\n");
const costed = [...served, ["denials", "http"], ["denials", "https"]];
const shown = present(costed);
table(["", ...shown.map((peer) => titles[peer])], costed.map(([row, scheme]) => [
  `${row.replace("-", " ")}, ${scheme}, ${isBlob(row) ? "s/GB" : "µs/request"}`,
  ...shown.map((peer) => (find(row, scheme, peer) ? number(find(row, scheme, peer).cpu) : "")),
]));

const memory = Object.fromEntries(results.filter((r) => r.row === "memory").map((r) => [r.peer, r.kilobytes / 1024]));
console.log("Peak memory of all of its processes, MiB (this proxy and docker-registry: two instances, one for each scheme):\n");
const measured = peers.filter((peer) => peer in memory);
table(measured.map((peer) => titles[peer]), [measured.map((peer) => number(memory[peer]))]);

console.log("Tenfold, hot manifests over http, this proxy:\n");
const base = find("grown-base", "http", us);
const grown = { "grown-base": "10 repositories, 100 policy entries, 32 connections", "grown-repositories": "100 repositories", "grown-entries": "1,000 policy entries", "grown-connections": "320 connections" };
table(["", "requests/s", "ratio", "µs/request"], Object.entries(grown).map(([row, title]) => {
  const cell = find(row, "http", us);
  return [title, number(cell.median), (cell.median / base.median).toFixed(2), number(cell.cpu)];
}));

const soak = results.filter((r) => r.row === "soak").map((r) => r.kilobytes / 1024);
if (soak.length) console.log(`Resident memory under load, MiB, every 5 s: ${soak.map((m) => m.toFixed(0)).join(" ")}\n`);

// What is aimed at, and whether it is reached.
const atLeast = (what, reached, wanted) => ({ what, reached, wanted, met: reached >= wanted });
const targets = [
  atLeast("hot manifests over http beside nginx proxy_cache", ratio("manifests", "http", "nginx-cache"), 1.0),
  atLeast("hot manifests over https beside nginx proxy_cache", ratio("manifests", "https", "nginx-cache"), 0.9),
  atLeast("hot blobs of 1 MiB over https beside nginx proxy_cache", ratio("blobs-1MiB", "https", "nginx-cache"), 1.0),
  atLeast("hot blobs of 100 MiB over https beside nginx proxy_cache", ratio("blobs-100MiB", "https", "nginx-cache"), 1.0),
  ...["http", "https"].flatMap((scheme) => [
    atLeast(`denials over ${scheme} beside hot manifests`, find("denials", scheme, us).median / find("manifests", scheme, us).median, 1.0),
    atLeast(`a cold pull over ${scheme} beside nginx as a plain proxy before files`, ratio("cold-pull", scheme, "nginx-plain"), 0.9),
    atLeast(`a cold pull over ${scheme} beside nginx as a plain proxy before the same hub`, ratio("cold-pull", scheme, "nginx-hub"), 0.9),
    ...["manifests", "blobs-1MiB", "blobs-100MiB", "cold-pull", "hot-pull"].map((row) =>
      atLeast(`${row.replace("-", " ")} over ${scheme} beside docker-registry`, ratio(row, scheme, "registry"), 1.0)),
  ]),
];
if (soak.length > 4) {
  // From the second third to the last: the first is where the heap finds its size.
  const third = Math.floor(soak.length / 3);
  targets.push(atLeast("memory under load, second third beside the last", median(soak.slice(third, 2 * third)) / median(soak.slice(-third)), 0.95));
}
console.log("Aims:\n");
table(["", "wanted", "reached", ""], targets.map((t) => [t.what, t.wanted.toFixed(2), t.reached.toFixed(2), t.met ? "met" : "**short**"]));

const faults = faultsOf(results);
for (const cell of cells.values()) [delete cell.costs, delete cell.latencies];
writeFileSync(jsonFile, JSON.stringify({ machine, rows: [...cells.values()], memoryMiB: memory, soakMiB: soak, targets, faults }, null, 2) + "\n");
for (const fault of faults) console.error(`compare: ${fault}`);
process.exit(faults.length ? 1 : 0);
