#!/usr/bin/env python3
"""Makes pre_splits.json: words that each pre-split of GGUF's names cuts texts into, by the patterns that the models' own
tokenizer.json files hold, matched by Python's `regex` (pip install regex). tests/tokenizers/test_split.c compares.

    python3 tests/tokenizers/pre_splits.py >tests/tokenizers/pre_splits.json
"""
import json
import random
import sys

import regex

C = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = C + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = C + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UP, LOW = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
FRONT, REST = r"[^\r\n\p{L}\p{N}]?", r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = f"{FRONT}{UP}*{LOW}+{C}?|{FRONT}{UP}+{LOW}*{C}?|\\p{{N}}{{1,3}}|{REST}"
TEKKEN = f"{FRONT}{UP}*{LOW}+|{FRONT}{UP}+{LOW}*|\\p{{N}}|{REST}"
YOUTU = f"{FRONT}{UP}*{LOW}+{C}?|{FRONT}{UP}+{LOW}*{C}?|\\p{{N}}|{REST}"
SYMBOLS = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+"""
LINES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
KANA = r"[一-龥぀-ゟ゠-ヿ]+"
HANUP, HANLOW = f"(?:(?!\\p{{Han}}){UP})", f"(?:(?!\\p{{Han}}){LOW})"
KIMI = (r"[\p{Han}]+|" + f"{FRONT}{HANUP}*{HANLOW}+{C}?|{FRONT}{HANUP}+{HANLOW}*{C}?" +
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + LINES)
DEEPSEEK = ("\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d"
            "\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e"
            "\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943]+")
RULES = {
    "gpt-2": [GPT2],
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]"],
    "starcoder": [r"\p{N}", GPT2],
    "llama-bpe": [LLAMA3],
    "qwen2": [QWEN2],
    "qwen35": [C + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + LINES],
    "ufakzeka": [QWEN2[len(C) + 1:]],
    "laguna": [r"[^\n]+|[\n]+", QWEN2],
    "minicpm5": [r"\p{N}{1,3}", LLAMA3.replace("{1,3}", "+")],
    "seed-coder": [C + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|" + LINES],
    "bailingmoe": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"],
    "exaone-moe": [C + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    "jais-2": [LLAMA3[:LLAMA3.index(r"\s+(?!")] + "|".join(r"\s{%s}(?!\S)" % n for n in
               ("512", "256", "128", "64", "32", "16", "8", "4", "1,2")) + r"|\s{1}"],
    "deepseek-llm": [r"[\r\n]", DEEPSEEK, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}+"],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", KANA, SYMBOLS + r"[\r\n]*|" + LINES],
    "spark2_5": [r"\p{N}{1,3}", KANA, SYMBOLS + r"|[\r\n]|\s+(?!\S)|\s+", r"\p{N}"],
    "youtu": [r"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + KANA, YOUTU],
    "bloom": [r" ?[^(\s|.,!?…。，、।۔،)]+"],
    "viking": [r" ?[^(\s|.,!?…。，、।۔،)]+", r"\p{N}"],
    "tekken": [TEKKEN],
    "gpt-4o": [GPT4O],
    "tiny_aya": [r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O],
    "chameleon": [r"<sentinel:[0-9]+>", r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", r"([\t\n]|    |  )", r"\p{N}",
                  r"[\p{P}!-/:-@\[-`{-~]", GPT2],
    "kimi-k2": [KIMI],
    "superbpe": [r"\p{N}+", r"(?=(\d{3})+(?!\d))"],
    "afmoe": [r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
              r"[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+".replace("เ-๿", "\u0e00-\u0e7f"),
              SYMBOLS + r"[\r\n]*|" + LINES],
}
TEXTS = [
    "Hello, world! It's we'll I'D  DON'T they'Re", "  two \n\n x1\r\n\r\n  \t end  ", "1 12 123 1234 12345678 3.14159 x12345y 1²³½",
    "def f(x):\n        return x[1:] == 'a//b'\n\n\n", "Führer François naïve ÉCOLE İstanbul ǅ", "нещо на Български, 123456",
    "កាន់តែពិសេសអាចខលចេញ हिन्दी में 12345", "我想在apple工作1314151天～ 漢字かなカナ。，、", "한국어 텍스트 ㄱㄴ 123", "🚀 (normal) 😶‍🌫️ 👩‍👩‍👧 🦙.cpp",
    "e\u0301 a\u0308\u0323 \u0301x", "a\u00a0\u00a0b\u3000c\u2028d\u0085e\u180ef", "<sentinel:12> IMGIMGABCZ IMGIMGAZ    x",
    "----=====  $+<=>^`|~ ... ?! «…»", "CamelCaseWord HTTPServer ABCdef aBC d'S", " " * 40 + "x", " " * 700 + "\n", "\n\n \n  \n", "don't. 3's 3'S ''s",
]


def cut(patterns, text):
    words = [text]
    for pattern in patterns:
        compiled, out = regex.compile(pattern, regex.V0), []
        for word in words:
            at = 0
            for m in compiled.finditer(word):
                if m.start() > at:
                    out.append(word[at:m.start()])
                out.append(m.group())
                at = m.end()
            if at < len(word):
                out.append(word[at:])
        words = [w for w in out if w]
    assert "".join(words) == text
    return words


def random_texts(count):
    r = random.Random(9)
    alphabet = list(" \n\t\r'.,sStTrReElL0123456789aAbBzZ/<=>") + list("éÉßİ中漢かカ한ㄱ你กخش\u0301\u0308²½Ⅷ₤€🚀\u200d\u00a0\u3000„”،।")
    for _ in range(count):
        yield "".join(r.choice(alphabet) for _ in range(r.randrange(1, 60)))


texts = TEXTS + list(random_texts(40))
json.dump({"texts": texts, "words": {name: [[len(w.encode()) for w in cut(p, t)] for t in texts] for name, p in RULES.items()}},
          sys.stdout, ensure_ascii=True, separators=(",", ":"))
print()
