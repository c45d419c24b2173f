#!/usr/bin/env python3
"""A slow second opinion on SQuAD's scores, from the published rules: answers are lowered, lose ASCII punctuation and the
words a, an and the, and are split at white space; exact match compares what is left, F1 the bags of words; the best of a
question's answers counts, and a question without a prediction counts 0 (Rajpurkar and others 2016). Where a question has no
answer (SQuAD 2.0: Rajpurkar, Jia and Liang 2018) both scores are 1 for an empty prediction and 0 for any other.

    squad.py predict DATA.json SEED PREDICTIONS.json    makes predictions up, right, nearly right and wrong ones
    squad.py score DATA.json PREDICTIONS.json           prints the number of questions, exact match and F1
"""
import collections
import json
import random
import re
import string
import sys


def questions(path):
    with open(path, encoding="utf-8") as file:
        for article in json.load(file)["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    texts = [answer["text"] for answer in question["answers"]]
                    yield question["id"], texts, paragraph["context"]


def words(answer):
    kept = "".join(c for c in answer.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def scores(prediction, reference):
    said, meant = words(prediction), words(reference)
    if not said or not meant:
        # Of version 1.1 an F1 of two empty answers would be 0; a reference without any word is version 2.0's "".
        same = float(said == meant)
        return same, same if not reference else 0.0
    common = sum((collections.Counter(said) & collections.Counter(meant)).values())
    f1 = 2 * common / (len(said) + len(meant))
    return float(said == meant), f1


def score(data, predictions):
    with open(predictions, encoding="utf-8") as file:
        said = json.load(file)
    exact = f1 = n = 0
    for identity, answers, _ in questions(data):
        n += 1
        if identity not in said:
            continue
        all_scores = [scores(said[identity], answer) for answer in answers or [""]]
        exact += max(s[0] for s in all_scores)
        f1 += max(s[1] for s in all_scores)
    print(n, repr(exact / n), repr(f1 / n))


def perturb(draw, answer, context):
    parts = answer.split()
    kind = draw.randrange(9)
    if kind == 0:
        return answer
    if kind == 1:
        return " ".join(context.split()[: draw.randrange(1, 6)])
    if kind == 2:
        return "The " + answer.upper() + "!"
    if kind == 3:
        return " ".join(parts[1:])
    if kind == 4:
        return " ".join(parts + parts[:1] + ["an", "extra"])
    if kind == 5:
        return "\u201c" + answer + "\u201d, \u0130stanbul \u03a3\u03a3"
    if kind == 6:
        return answer.replace(" ", "-")
    if kind == 7:
        return draw.choice(["", "the", "a\u00a0an", "..."])
    return " ".join(reversed(parts))


def predict(data, seed, out):
    draw = random.Random(int(seed))
    made = {}
    for identity, answers, context in questions(data):
        if draw.random() < 0.03:
            continue
        answer = draw.choice(answers) if answers else draw.choice(["", "the", "something"])
        made[identity] = perturb(draw, answer, context)
    made["no such question"] = "42"
    with open(out, "w", encoding="utf-8") as file:
        json.dump(made, file)


if __name__ == "__main__":
    {"predict": predict, "score": score}[sys.argv[1]](*sys.argv[2:])
