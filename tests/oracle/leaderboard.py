#!/usr/bin/env python3
"""Ranks a leaderboard.csv anew from its own columns, by the formulas of docs/leaderboard.md, and says what differs.

    leaderboard.py check FILE             prints a line for every field that is another one
    leaderboard.py make FILE ROWS SEED    prints a board with the columns of FILE and rows made up
"""
import csv
import math
import random
import sys
from collections import Counter

CRITICAL = 1.959963984540054  # two-sided p = 0.05 of the normal distribution


def number(row, column):
    return float(row[column]) if row.get(column) else math.nan


def first_metrics(columns):
    """{suite: its first metric that has differences}"""
    found = {}
    for column in columns:
        parts = column.split("/")
        if len(parts) == 2 and {column + "/better", column + "/difference_stderr"} <= set(columns):
            found.setdefault(parts[0], column)
    return found


def protocols(row, suites):
    """What must be shared to be ranked together; another tool's are not known."""
    return () if row["source"] else tuple((s, row[s + "/fingerprint"]) for s in suites if row[s + "/fingerprint"])


def chosen(rows, metrics):
    """The suites that are ranked by, and the rows that have them and lack no value."""
    suites = list(metrics)
    sets = Counter(p for p in (protocols(r, suites) for r in rows) if p)
    if not sets:
        return [], []
    best = max(sets, key=lambda p: (sets[p], len(p)))  # of equal ones the first in the file
    shared = [r for r in rows if set(best) <= set(protocols(r, suites))]
    suites = [s for s, _ in best]
    return suites, [r for r in shared if all(r[metrics[s]] for s in suites)]


def reference_of(rows):
    uses = Counter(r["baseline"] for r in rows if r["baseline"])
    last = "\U0010ffff"  # an empty field comes behind all others
    return min(rows, key=lambda r: (-uses[r["id"]] if r["id"] else 0,
                                    *(r[c] or last for c in ("started", "subject", "id"))))


class Scale:
    """Shares, scores and their errors, in percent of one row's quality."""

    def __init__(self, reference, suites, metrics):
        self.reference = reference
        self.metrics = [metrics[s] for s in suites if number(reference, metrics[s]) > 0]

    def score(self, row):
        shares = []
        for m in self.metrics:
            value, unit = number(row, m), number(self.reference, m)
            if row[m + "/better"] == "higher":
                shares.append(value / unit)
            else:
                shares.append(unit / value if value > 0 else math.nan)
        return 100 * sum(shares) / len(shares) if shares else math.nan

    def error(self, x, y):
        total = 0.0
        for m in self.metrics:
            a, b, unit = number(x, m), number(y, m), number(self.reference, m)
            bounds = [math.hypot(number(x, m + "/stderr"), number(y, m + "/stderr"))]
            if x["baseline"] and x["baseline"] == y["baseline"]:
                bounds.append(sum(0 if r["id"] == r["baseline"] else number(r, m + "/difference_stderr") for r in (x, y)))
            error = min(b for b in bounds if not math.isnan(b)) if any(not math.isnan(b) for b in bounds) else math.nan
            factor = 1 / unit if x[m + "/better"] == "higher" else unit / (a * b)
            total += (error * factor) ** 2
        return 100 * math.sqrt(total) / len(self.metrics)

    def has_errors(self, row):
        return not any(math.isnan(number(row, m + "/stderr")) for m in self.metrics)

    def tied(self, x, y):
        if x["id"] and x["id"] == y["id"] or self.score(x) == self.score(y):
            return True
        return abs(self.score(x) - self.score(y)) <= CRITICAL * self.error(x, y)


def rank(rows, columns):
    """{index of a row: (rank, tie group, score, low, high)} of those that are ranked"""
    metrics = first_metrics(columns)
    suites, shared = chosen(rows, metrics)
    if not shared:
        return {}
    scale = Scale(reference_of(shared), suites, metrics)
    order = sorted((r for r in shared if math.isfinite(scale.score(r))), key=lambda r: -scale.score(r))
    out, best, leader, group = {}, None, None, 0
    for k, row in enumerate(order):
        score = scale.score(row)
        place = out[id(order[k - 1])][0] if k and scale.score(order[k - 1]) == score else k + 1
        half = 0 if row is scale.reference else CRITICAL * scale.error(row, scale.reference)
        tie = 0
        if scale.has_errors(row):
            if best is None:
                best = leader = row
                group = 1
            if scale.tied(best, row):
                tie = 1
            else:
                if not scale.tied(leader, row):
                    leader = row
                    group += 1
                tie = group
        out[id(row)] = (place, tie, score, score - half, score + half)
    return {i: out[id(r)] for i, r in enumerate(rows) if id(r) in out}


def check(path):
    with open(path, newline="", encoding="utf-8") as f:
        reader = csv.DictReader(f)
        rows = list(reader)
        standings = rank(rows, reader.fieldnames)
    wrong = 0
    for i, row in enumerate(rows):
        wanted = standings.get(i, (0, 0, math.nan, math.nan, math.nan))
        for column, value in zip(("rank", "tie_group", "score", "score_low", "score_high"), wanted):
            found = number(row, column)
            if (math.isnan(value) or value == 0) and math.isnan(found):
                continue
            if not abs(found - value) <= 1e-7 * max(1, abs(value)):
                print(f"line {i + 2}: {column}: is {row[column]!r}, {value} is expected")
                wrong += 1
    print(f"{len(rows)} rows, {len(standings)} ranked, {len({s[1] for s in standings.values()})} groups")
    return wrong > 0


def make_row(columns, metrics, i):
    """Of three models, measured by four protocols, some of which are rare, beside other tools' rows and holes."""
    model = random.randrange(3)
    ident = f"{model}-{random.choice([0, 0, i])}"  # the baseline again, or a candidate
    row = dict.fromkeys(columns, "")
    row.update(subject=f"s{i}", id=random.choice([ident] * 9 + [""]), source=random.choice([""] * 19 + ["another 1"]),
               baseline=random.choice([f"{model}-0"] * 5 + [ident, ""]), started=random.choice(["2026-01-02", "2026-01-01"]))
    for suite, metric in metrics.items():
        lower = sum(suite.encode()) % 2
        value = random.choice([random.gauss(0.5, 0.02)] * 30 + [0, -0.1])
        row[suite + "/fingerprint"] = random.choice(["a"] * 60 + ["b", "c", ""])
        row[metric] = random.choice([f"{value:.9g}"] * 60 + [""])
        row[metric + "/stderr"] = random.choice([f"{random.uniform(0.001, 0.03):.9g}"] * 60 + [""])
        row[metric + "/difference_stderr"] = random.choice([f"{random.uniform(0.0005, 0.02):.9g}"] * 4 + [""])
        row[metric + "/better"] = "lower" if lower else "higher"
    return row


def make(path, n, seed):
    random.seed(seed)
    with open(path, newline="", encoding="utf-8") as f:
        columns = next(csv.reader(f))
    out = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    out.writeheader()
    rows = [make_row(columns, first_metrics(columns), i) for i in range(n)]
    for twin in random.sample(rows, n // 10):  # equal scores
        rows.append(dict(twin, subject=twin["subject"] + " again", id=""))
    out.writerows(rows)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(check(sys.argv[2]))
