"""The pages that are looked at, made by kerf itself: candidates of a shipped model on a few items, rows of other tools
beside them, and a comparison in which every text was written by a stranger."""

import json
import pathlib
import shutil
import subprocess

from checks import SECTIONS, page_of

ITEMS = 10

LM_EVAL = {
    "results": {"endings": {"alias": "endings", "acc,none": 0.5, "acc_stderr,none": 0.02}},
    "configs": {"endings": {"task": "endings"}},
    "higher_is_better": {"endings": {"acc": True}},
    "n-samples": {"endings": {"original": 500, "effective": 500}},
    "config": {"model": "hf", "model_args": "pretrained=other"},
    "date": 1700000000.0,
    "lm_eval_version": "0.4.5",
    "model_name": "other",
}
LLAMA_BENCH = {
    "build_commit": "0123456", "build_number": 4000, "cpu_info": "a processor", "gpu_info": "", "backends": "CPU",
    "model_filename": "other.gguf", "model_type": "llama 5M Q4_0", "model_size": 3000000, "model_n_params": 5049600,
    "n_threads": 2, "n_prompt": 512, "n_gen": 0, "test_time": "2025-11-24T08:00:00Z", "avg_ns": 1000000,
    "stddev_ns": 1000, "avg_ts": 512.5, "stddev_ts": 1.5,
}
STRANGE = [
    "<script>alert(1)</script>",
    "</script><script>window.owned = 1</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)\" x=\"",
    "'><svg onload=alert(1)>",
    "</title></style></text></svg><b>",
    "javascript:alert(1)",
    "=cmd()",
    "&lt;i&gt; &amp; <!-- ]]>",
    "\x1b[31mred\x07",
    "\u202egnol\u2066",
]


def kerf(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise SystemExit(f"kerf {' '.join(map(str, arguments))}: status {done.returncode}: {done.stderr[-1000:]}")


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def make_comparison(program, folder):
    """Four subjects; the last one is made to lose, which few items alone would not show."""
    kerf(program, "compare", "millbrook-llama@f32", "@int8:absmax", "@gguf:q4_0", "@gguf:q2_k", "--limit", ITEMS,
         "--suite", "stories", "--suite", "endings", "--suite", "questions", "--out", folder)

    def lose(comparison):
        for row in comparison["rows"][:1] + [r for r in comparison["rows"] if r["suite"] == "questions"]:
            sign = -1 if row["better"] == "higher" else 1
            row["cells"][-1]["difference"].update(
                value=sign * 0.2, ci95=sorted([sign * 0.1, sign * 0.3]), p=0.0001, p_holm=0.0003, significant=True)

    edit(folder / "compare.json", lose)
    kerf(program, "report", folder, "--out", folder)
    return page_of(folder, charts=5)


def make_mixed(program, folder, comparison):
    """The same with two rows of other tools."""
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(LM_EVAL))
    (folder / "bench.jsonl").write_text(json.dumps(LLAMA_BENCH) + "\n")
    kerf(program, "report", comparison, folder / "results.json", folder / "bench.jsonl", "--out", folder)
    return page_of(folder, charts=5)


def make_single(program, folder, comparison):
    kerf(program, "report", comparison / "runs" / "millbrook-llama-f32", "--out", folder)
    return page_of(folder, sections=["answer-section", "board-section", "numbers", "method"])


class Stranger:
    """Writes one strange text after the other, each marked, and remembers what must be seen of it."""

    def __init__(self):
        self.marks, self.written = [], 0

    def text(self, shown=True):
        strange = STRANGE[self.written % len(STRANGE)]
        text = f"m{self.written:03}m{strange}"
        self.written += 1
        if shown:
            self.marks.append(text if strange.isprintable() else text[:5])
        return text


def make_profiled(program, folder):
    """A profile of each subject: of phases, kernels and layers."""
    kerf(program, "compare", "millbrook-llama@f32", "@gguf:q4_k_m+fast", "--limit", ITEMS, "--suite", "stories",
         "--suite", "translation", "--profile", "--out", folder)
    return page_of(folder, charts=9, sections=SECTIONS + ["profile"])


def make_hostile_profile(program, folder, comparison):
    """The same, every text of the profiles a stranger's; the long names of kernels come with it."""
    folder.mkdir()
    s = Stranger()

    def compare(c):
        for subject in c["subjects"]:
            profile = subject["profile"]
            profile["note"] = s.text()
            for counter in profile["counters"]:
                counter.update(name=s.text(shown="reason" in counter), what=s.text(shown=False))
                if "reason" in counter:
                    counter["reason"] = s.text()
            for group in profile["groups"]:
                group.update(part=s.text(), weights=s.text(), shape=s.text())
                if group["limit"]:
                    group["limit"]["name"] = s.text()
            for layer in profile["layers"]:
                layer["parts"] = {s.text(shown=False): seconds for seconds in layer["parts"].values()}
            for peak in profile["roofline"]["peaks"]:
                peak.update(name=s.text(shown=False), unit=s.text(shown=False))

    shutil.copy(comparison / "compare.json", folder)
    edit(folder / "compare.json", compare)
    kerf(program, "report", folder, "--out", folder)
    return page_of(folder, charts=8, sections=SECTIONS + ["profile"], marks=tuple(s.marks))


def write_samples(s, runs, metrics):
    """The texts of the items that flipped in any of these files: RUN/samples_SUITE.jsonl, the baseline's first."""
    files = [[json.loads(line) for line in path.read_text().splitlines()] for path in runs]
    for items in zip(*files):
        flipped = len({json.dumps(item["metrics"]) for item in items}) > 1
        for item in items:
            for key in ("metrics", "statistics"):
                item[key] = {metrics[name]: value for name, value in item[key].items()}
        if not flipped:
            continue
        prompt, target = s.text(), s.text(shown=False)
        choices = [s.text(shown=False) for _ in items[0]["arguments"]]
        for item in items:
            for request, choice in zip(item["arguments"], choices):
                request[0] = prompt
                request[1:] = [choice] * len(request[1:])
            if isinstance(item["target"], str):
                item["target"] = target
                item["resps"] = item["filtered_resps"] = [s.text(shown=False)]
    for path, items in zip(runs, files):
        path.write_text("".join(json.dumps(item) + "\n" for item in items))


def make_hostile(program, folder, comparison):
    """Every name, unit, reason, prompt, answer and token is a stranger's, also the names of another tool's tasks."""
    shutil.copytree(comparison, folder)
    s, names, metrics = Stranger(), {}, {}

    def compare(c):
        for subject in c["subjects"]:
            subject.update(name=s.text(), model=s.text(shown=False), backend=s.text(shown=False))
            names[subject["run"]] = {key: subject[key] for key in ("name", "model", "backend")}
        c["subjects"][0].setdefault("machine", dict(c["machine"]))["cpu"] = s.text()
        told = set()
        for row in c["rows"]:
            metrics.setdefault(row["suite"], {})[row["metric"]] = metric = s.text()
            row["cells"][1].update(refused=s.text(shown=row["suite"] not in told), difference=None)
            told.add(row["suite"])
            row.update(metric=metric, unit=s.text())
        c["canaries"] = [{"suite": s.text(), "subject": 1, "name": "strange", "reason": s.text()}]

    def run(r, path):
        r["subject"].update(names[f"runs/{path.parent.name}"])
        for part in r["suites"]:
            for metric in part["metrics"]:
                metric["name"] = metrics[part["name"]].get(metric["name"], metric["name"])
            for worst in part.get("divergence", {}).get("worst", []):
                worst.update(token=s.text(), before=s.text())
                worst["baseline"]["top"], worst["candidate"]["top"] = s.text(), s.text()

    edit(folder / "compare.json", compare)
    for path in folder.glob("runs/*/run.json"):
        edit(path, lambda r, path=path: run(r, path))
    for suite in ("endings", "questions"):
        write_samples(s, [folder / where / f"samples_{suite}.jsonl" for where in names], metrics[suite])
    other = folder / "results.json"
    tasks = [s.text() for _ in STRANGE]
    other.write_text(json.dumps(dict(LM_EVAL, model_name=s.text(), lm_eval_version=s.text(), results={
        task: {"acc,none": 0.5, "acc_stderr,none": 0.02} for task in tasks})))
    kerf(program, "report", folder, other, "--out", folder)
    return page_of(folder, charts=4, marks=tuple(s.marks))


def make_all(program, folder):
    folder = pathlib.Path(folder)
    plain = folder / "comparison"
    return {
        "comparison": make_comparison(program, plain),
        "mixed": make_mixed(program, folder / "mixed", plain),
        "single": make_single(program, folder / "single", plain),
        "profiled": make_profiled(program, folder / "profiled"),
        "hostile profile": make_hostile_profile(program, folder / "hostile-profile", folder / "profiled"),
        "hostile": make_hostile(program, folder / "hostile", plain),
    }
