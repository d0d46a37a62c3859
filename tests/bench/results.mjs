// Reads the results of tests/bench/compare and turns them into speed, cost and tables.
import { readFileSync } from "node:fs";

export const read = (file) => readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const sizes = { "blobs-1MiB": 2 ** 20, "blobs-100MiB": 100 * 2 ** 20 };

export const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

// The interval of a median, whatever the distribution: the k-th smallest and the k-th largest of n values enclose it with a probability
// of 1 - 2 P(Bin(n, 1/2) < k). The ends lie between those of two k, interpolated as by Hettmansperger and Sheather (1986). Fewer than
// five values cannot give 90 %: then it is their whole range.
export const confidence = 0.9;
export const interval = (values) => {
  const n = values.length;
  const sorted = [...values].sort((a, b) => a - b);
  const coverages = [];
  for (let k = 1, term = 2 ** -n, tail = term; k <= n / 2; k++) {
    coverages[k] = 1 - 2 * tail;
    term *= (n - k + 1) / k;
    tail += term;
  }
  if (!(coverages[1] >= confidence)) return { lower: sorted[0], upper: sorted[n - 1], coverage: coverages[1] ?? 0 };
  const k = coverages.findLastIndex((coverage) => coverage >= confidence);
  const share = (coverages[k] - confidence) / (coverages[k] - (coverages[k + 1] ?? 0));
  const weight = ((n - k) * share) / (k + (n - 2 * k) * share);
  const between = (outer, inner) => (1 - weight) * outer + weight * inner;
  return { lower: between(sorted[k - 1], sorted[k]), upper: between(sorted[n - k], sorted[n - k - 1]), coverage: confidence };
};

// One measure for each kind of row. More is better, except for pulls.
export const isPull = (row) => row.endsWith("-pull");
export const isBlob = (row) => row.startsWith("blobs-");
export const speed = (result) => (isPull(result.row) ? result.took : isBlob(result.row) ? result.bytes / result.seconds / 1e6 : result.requests / result.seconds);
export const cost = (result) => (isBlob(result.row) ? result.cpu / (result.bytes / 1e9) : (result.cpu / result.requests) * 1e6);
export const unit = (row) => (isPull(row) ? "s" : isBlob(row) ? "MB/s" : "requests/s");

export const number = (value) => (value >= 100 ? Math.round(value).toLocaleString("en-US") : value >= 10 ? value.toFixed(1) : value.toFixed(2));
export const table = (head, lines) => {
  console.log(`| ${head.join(" | ")} |`);
  console.log(`|${head.map((_, i) => (i ? "---:" : "---")).join("|")}|`);
  for (const line of lines) console.log(`| ${line.join(" | ")} |`);
  console.log();
};

// A run with failed answers, or with answers of another size, has measured something else.
export const faultsOf = (results) => results.filter((r) => "requests" in r).flatMap((r) => {
  const refused = r.row === "denials" ? r.requests - r.refusals : r.refusals;
  const size = sizes[r.row] ?? 0;
  const problems = [];
  if (r.requests === 0 && !size) problems.push("no answer");
  if (refused) problems.push(`${refused} of ${r.requests} answers with the wrong status`);
  if (r.failures) problems.push(`${r.failures} connections failed`);
  if (r.bytes < r.requests * size) problems.push("answers too short");
  return problems.map((problem) => `${r.row}, ${r.scheme}, ${r.peer}, round ${r.round}: ${problem}`);
});
