#!/usr/bin/env python3
"""Reads an exported folder as the tools of lm-evaluation-harness 0.4 read what the harness wrote, and fails as they would:
the table that it prints, its loggers, its Zeno script, its tracker's names of files, and leaderboards' parsers of results.

    lm_eval_readers.py OUT/MODEL        prints the table: task, filter, n-shot, metric, value, standard error
"""
import datetime
import hashlib
import json
import pathlib
import re
import sys


def table(results):
    """Every number is formatted as a float; a standard error is a number or "N/A"."""
    for task, values in results["results"].items():
        shots = str(results["n-shot"].get(task, " "))
        assert values["alias"] == task and task in results["versions"]
        for key, value in sorted((k, v) for k, v in values.items() if k != "alias"):
            metric, _, which = key.partition(",")
            if metric.endswith("_stderr"):
                continue
            error = values[f"{metric}_stderr,{which}"]
            error = "N/A" if error == "N/A" else f"{error:.4f}"
            shown = f"{value:.4f}" if isinstance(value, float) else value
            assert isinstance(results["higher_is_better"][task][metric], bool)
            print(task, which, shots, metric, shown, error, sep="\t")


def names(folder, results):
    """Task and time come from the names of files; folders are named after models."""
    assert folder.name == re.sub(r'["<>:/|\\?*\[\]]+', "__", results["model_name"]) == results["model_name_sanitized"]
    (path,) = folder.glob("results_*.json")
    when = path.name.removesuffix(".json").removeprefix("results_")
    datetime.datetime.strptime(when, "%Y-%m-%dT%H-%M-%S.%f")
    samples = {}
    for path in folder.glob("samples_*.jsonl"):
        task, date = path.name[path.name.find("_") + 1 : path.name.rfind("_")], path.name[path.name.rfind("_") + 1 :]
        assert date == when + ".jsonl", path
        samples[task] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert samples.keys() == results["configs"].keys() == results["results"].keys()
    return samples


def items(task, config, lines, expected):
    """Columns of the tables that loggers make of items: each metric of the task in each line."""
    assert config["task"] == task and isinstance(config["dataset_path"], str)
    filters = {line["filter"] for line in lines}
    assert len(lines) == len(filters) * expected["effective"]
    for line in lines:
        arguments = line["arguments"]["gen_args_0"]
        assert isinstance(arguments["arg_0"], str) and isinstance(line["target"], str) and "doc" in line
        assert line["prompt_hash"] == hashlib.sha256(arguments["arg_0"].encode()).hexdigest()
        assert line["target_hash"] == hashlib.sha256(line["target"].encode()).hexdigest()
        for metric in config["metric_list"]:
            value = line[metric["metric"]]
            if metric["aggregation"] == "mean":
                float(value)
            if metric["aggregation"] == "weighted_perplexity":
                assert value[0] < 0 < value[1]
        kind, first = config["output_type"], line["filtered_resps"][0]
        if kind in ("multiple_choice", "loglikelihood"):
            assert isinstance(arguments["arg_1"], str) and len(line["filtered_resps"]) == len(line["arguments"])
            assert float(first[0]) <= 0 and first[1] in ("True", "False") and first == line["resps"][0][0]
        elif kind == "loglikelihood_rolling":
            assert float(first) <= 0 and first == line["resps"][0][0]
        else:
            assert isinstance(first, str) and isinstance(line["resps"][0][0], str) and config["generation_kwargs"]


def leaderboard(results):
    """A model, its precision and its revision, and a mean of each task's metric in percent."""
    config = results["config"]
    for key in ("model", "model_name", "model_args", "model_dtype", "model_sha"):
        assert isinstance(config[key], str), key
    assert re.match(r"pretrained=([^,]+),", config["model_args"])
    assert isinstance(config["model_num_parameters"], int)


def main():
    folder = pathlib.Path(sys.argv[1])
    (path,) = folder.glob("results_*.json")
    results = json.loads(path.read_text(encoding="utf-8"))
    samples = names(folder, results)
    for task, lines in samples.items():
        items(task, results["configs"][task], lines, results["n-samples"][task])
        hashes = "".join(line["doc_hash"] + line["prompt_hash"] + line["target_hash"] for line in lines)
        assert results["task_hashes"][task] == hashlib.sha256(hashes.encode()).hexdigest()
    leaderboard(results)
    assert results["git_hash"] is None and isinstance(results["date"], float)
    assert results["end_time"] - results["start_time"] > 0 and float(results["total_evaluation_time_seconds"]) > 0
    table(results)


if __name__ == "__main__":
    main()
