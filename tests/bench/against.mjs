// How many times as fast the working tree's build is as that of a revision, from what tests/bench/compare --against has measured.
// against.mjs RESULTS.jsonl JSON-FILE <MACHINE.json
import { readFileSync, writeFileSync } from "node:fs";
import { confidence, cost, faultsOf, interval, isPull, median, number, read, speed, table, unit } from "./results.mjs";

const [, , resultsFile, jsonFile] = process.argv;
const { versions: { revision, today, date, ...versions }, ...machine } = JSON.parse(readFileSync(0, "utf8"));
const results = read(resultsFile);
const [now, before] = ["imageaccess", "imageaccess-before"];
const limit = 0.95;

// A row's rounds, of one build: where a round has measured more than once, the median.
const perRound = (row, scheme, peer, measure) => Array.from({ length: machine.rounds }, (_, i) =>
  median(results.filter((r) => r.row === row && r.scheme === scheme && r.peer === peer && r.round === i + 1).map(measure)));
const ratios = (ours, theirs) => ours.map((value, i) => value / theirs[i]);

const verdict = ({ lower, upper }) => (upper < limit ? "slower" : lower >= limit ? "not slower" : "not told apart");
const measured = (row, scheme) => {
  const [ours, theirs] = [now, before].map((peer) => perRound(row, scheme, peer, speed));
  const paired = isPull(row) ? ratios(theirs, ours) : ratios(ours, theirs);
  const cpu = isPull(row) ? undefined : median(ratios(...[now, before].map((peer) => perRound(row, scheme, peer, cost))));
  const range = interval(paired);
  return { row, scheme, unit: unit(row), before: median(theirs), today: median(ours), ratio: median(paired), ...range, cpu, verdict: verdict(range), ratios: paired };
};
const rows = [
  ...["http", "https"].flatMap((scheme) => ["manifests", "blobs-1MiB", "blobs-100MiB", "denials", "cold-pull", "hot-pull"].map((row) => measured(row, scheme))),
  ...["grown-base", "grown-repositories", "grown-entries", "grown-connections"].map((row) => measured(row, "http")),
];
const slower = rows.filter((row) => row.upper < limit);
const open = rows.filter((row) => row.lower < limit && row.upper >= limit);
const titles = {
  "grown-base": "10 repositories, 100 policy entries, 32 connections", "grown-repositories": "100 repositories",
  "grown-entries": "1,000 policy entries", "grown-connections": "320 connections",
};

const { coverage } = rows[0];
console.log(`${today} against ${revision}, ${date}: ${machine.rounds} round${machine.rounds > 1 ? "s" : ""} of ${machine.secondsPerRun} s for each row; ${machine.cores} cores, ` +
  `${machine.memoryGiB} GiB; .NET ${versions.dotnet}, nginx ${versions.nginx}, skopeo ${versions.skopeo}.\n`);
console.log(`Ratio: how many times as fast as ${revision} this build is, the median of the rounds' own ratios. The interval is that median's, ` +
  `${(100 * coverage).toFixed(0)} %, by order statistics of the paired ratios` +
  `${coverage < confidence ? " (their whole range: 90 % needs five rounds)" : ", interpolated"}. ` +
  `"slower": it lies below ${limit}; "not told apart": it reaches below ${limit} and above. Processor time: of a request or a byte, beside ${revision}.\n`);
table(["", revision, "this build", "ratio", "interval", "processor time", ""], rows.map((row) => [
  `${titles[row.row] ?? row.row.replace("-", " ")}, ${row.scheme}, ${row.unit}`, number(row.before), number(row.today), row.ratio.toFixed(3),
  `${row.lower.toFixed(3)} to ${row.upper.toFixed(3)}`, row.cpu?.toFixed(2) ?? "", row.upper < limit ? `**${row.verdict}**` : row.verdict,
]));

const memory = Object.fromEntries([["today", now], ["before", before]].map(([name, peer]) =>
  [name, median(results.filter((r) => r.row === "memory" && r.peer === peer).map((r) => r.kilobytes / 1024))]));
console.log(`Peak memory of both instances at the end of a round, the median: ${number(memory.before)} MiB for ${revision}, ${number(memory.today)} MiB for this build.\n`);
console.log(`${slower.length} of ${rows.length} rows have become slower; in ${open.length} the run cannot tell.`);

const faults = faultsOf(results);
writeFileSync(jsonFile, JSON.stringify({ today, revision, date, machine, versions, rows, memoryMiB: memory, faults }, null, 2) + "\n");
for (const fault of faults) console.error(`compare: ${fault}`);
process.exit(faults.length || slower.length ? 1 : 0);
