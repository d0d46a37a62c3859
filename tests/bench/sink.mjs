// What bringing decisions into the database costs, from what tests/bench/compare --sink has measured.
// sink.mjs RESULTS.jsonl JSON-FILE <MACHINE.json
import { readFileSync, writeFileSync } from "node:fs";
import { confidence, cost, faultsOf, interval, median, number, read, speed, table } from "./results.mjs";

const [, , resultsFile, jsonFile] = process.argv;
const machine = JSON.parse(readFileSync(0, "utf8"));
const results = read(resultsFile);
const limit = 1.05;

const perRound = (row, peer, measure) => Array.from({ length: machine.rounds }, (_, i) =>
  median(results.filter((r) => r.row === row && r.peer === peer && r.round === i + 1).map(measure)));
const rows = [["imageaccess-sqlite", "SQLite"], ["imageaccess-postgres", "PostgreSQL"]].flatMap(([peer, name]) =>
  [["steady", "processor time at 2,000 a second, µs", cost], ["manifests", "at full speed, requests/s", speed]].map(([row, title, measure]) => {
    const [ours, theirs] = [peer, `${peer}-without`].map((one) => perRound(row, one, measure));
    const ratios = ours.map((value, i) => value / theirs[i]);
    return { name, row, title, without: median(theirs), with: median(ours), ratio: median(ratios), ...interval(ratios), ratios };
  }));

console.log(`${machine.rounds} rounds; ${machine.cores} cores, ${machine.memoryGiB} GiB; .NET ${machine.versions.dotnet}.\n`);
console.log(`Ratio: with the database beside without, the median of the rounds' own ratios; the interval is that median's, ${(100 * rows[0].coverage).toFixed(0)} %` +
  `${rows[0].coverage < confidence ? " (their whole range: 90 % needs five rounds)" : ""}. Wanted at 2,000 a second: below ${limit}.\n`);
table(["", "without", "with", "ratio", "interval"], rows.map((row) =>
  [`${row.name}, ${row.title}`, number(row.without), number(row.with), row.ratio.toFixed(3), `${row.lower.toFixed(3)} to ${row.upper.toFixed(3)}`]));

const faults = faultsOf(results);
writeFileSync(jsonFile, JSON.stringify({ machine, rows, faults }, null, 2) + "\n");
for (const fault of faults) console.error(`compare: ${fault}`);
process.exit(faults.length || rows.some((row) => row.row === "steady" && row.upper >= limit) ? 1 : 0);
