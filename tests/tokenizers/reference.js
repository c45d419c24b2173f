// Makes reference.json: small tokenizers, texts, and the ids that Hugging Face's tokenizers give them; test_reference.c
// compares. A tokenizer is what is set in Millbrook's tokenizer.json, or a file of its own.
//
//     npm install @anush008/tokenizers       (a build of the reference for node)
//     node tests/tokenizers/reference.js >tests/tokenizers/reference.json
const { Tokenizer } = require("@anush008/tokenizers");
const fs = require("fs");

const millbrook = JSON.parse(fs.readFileSync("datasets/millbrook/llama/tokenizer.json"));
const SPACE = "\u2581";
const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
const gpt2 = Object.assign({}, bytes, { use_regex: true });
const split = (regex, behavior = "Isolated", invert = false) => ({ type: "Split", pattern: { Regex: regex }, behavior, invert });
const pre = (...parts) => ({ type: "Sequence", pretokenizers: parts });
const normal = (...parts) => ({ type: "Sequence", normalizers: parts });
const C = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const llama3 = C + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const added = (content, id, more) => Object.assign(
    { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: false }, more);

const patches = {
    plain: {},
    llama3: { pre_tokenizer: pre(split(llama3), bytes), normalizer: { type: "NFC" } },
    digits: { pre_tokenizer: pre({ type: "Punctuation", behavior: "Contiguous" }, gpt2, { type: "Digits", individual_digits: false }, split("[0-9][0-9][0-9]")) },
    ones: { pre_tokenizer: pre({ type: "Digits", individual_digits: true }, gpt2), normalizer: { type: "NFKC" } },
    bounds: { pre_tokenizer: pre(split("\\b"), bytes), normalizer: { type: "NFD" } },
    threes: { pre_tokenizer: pre(split("\\d{1,3}(?=(?:\\d{3})*\\b)"), split("(?=(\\d{3})+(?!\\d))"), bytes), normalizer: { type: "NFKD" } },
    scripts: { pre_tokenizer: pre(split("\\p{Han}+|\\p{Greek}+|[^\\w\\s]+"), bytes) },
    replaced: { normalizer: normal({ type: "Replace", pattern: { Regex: "e+" }, content: "E" }, { type: "Replace", pattern: { String: "the" }, content: "a" }, { type: "Strip", strip_left: true, strip_right: true }, { type: "Prepend", prepend: ">" }) },
    lower: { normalizer: normal({ type: "NFD" }, { type: "StripAccents" }, { type: "Lowercase" }) },
    prefix: { pre_tokenizer: Object.assign({}, gpt2, { add_prefix_space: true }) },
    added: { normalizer: { type: "Lowercase" }, added_tokens: millbrook.added_tokens.concat(
        added("Miller", 1280, { single_word: true }), added("Hello", 1281, { normalized: true }), added("<x>", 1282, { lstrip: true, rstrip: true }),
        added("AND", 1283, { lstrip: true, normalized: true }), added("<y>", 1284, { rstrip: true }), added("ING", 1285, { normalized: true, single_word: true })) },
};
for (const behavior of ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"])
    for (const invert of [false, true])
        patches[behavior + (invert ? "Inverted" : "")] = { pre_tokenizer: pre(split("[aeiou ]", behavior, invert), bytes) };

const letters = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'-", "\u00e9", "\u4f60", "\u0301"];
const words = ["the", "th", "he", "ing", "in", "an", "and", "er", "ll", "hell", "hello", "mill", "miller", "ar", "re", "ed", "12", "123"];
const special = (content, id) => added(content, id, { special: true });
const file = (parts) => Object.assign({ version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: null,
    post_processor: null, decoder: null }, parts);

const pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ...letters, ...letters.map((l) => "##" + l), ...words, ...words.map((w) => "##" + w)];
const numbered = (list) => Object.fromEntries(list.map((p, i) => [p, i]));
const wordpiece = (parts, most = 12) => file(Object.assign({ added_tokens: pieces.slice(0, 4).map(special),
    post_processor: { type: "BertProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] }, decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: most, vocab: numbered(pieces) } }, parts));
const bert = (more) => Object.assign({ type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true }, more);

const scored = [["<pad>", 0], ["</s>", 0], ["<unk>", 0], [SPACE, -2], ...letters.map((l, i) => [l, -6 - i / 16]), ...words.map((w, i) => [w, -3 - i / 8]),
    ...words.map((w, i) => [SPACE + w, -2.5 - i / 8])];
const unigram = (parts, more) => file(Object.assign({ added_tokens: ["<pad>", "</s>", "<unk>"].map(special), decoder: { type: "Metaspace", replacement: SPACE },
    post_processor: { type: "TemplateProcessing", single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }], pair: [],
        special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } } },
    model: Object.assign({ type: "Unigram", unk_id: 2, vocab: scored }, more) }, parts));
const metaspace = (prepend_scheme, cut) => ({ type: "Metaspace", replacement: SPACE, prepend_scheme, split: cut });

const spelled = [...Array(256).keys()].map((b) => "<0x" + b.toString(16).toUpperCase().padStart(2, "0") + ">");
const symbols = ["<unk>", "<s>", "</s>", ...spelled, SPACE, ...letters];
const merges = [];
const joined = ["t h", "h e", "th e", "t he", "i n", "a n", "e r", "l l", "an d", "a nd", "n d", "in g", "m i", "mi ll", SPACE + " the", SPACE + " a", SPACE + " " + SPACE];
for (const m of joined) {
    merges.push(m);
    const made = m.replace(" ", "");
    if (!symbols.includes(made)) symbols.push(made);
}
const characters = (parts, more) => file(Object.assign({ added_tokens: ["<unk>", "<s>", "</s>"].map(special), decoder: null,
    model: Object.assign({ type: "BPE", unk_token: "<unk>", fuse_unk: true, byte_fallback: true, vocab: numbered(symbols), merges }, more) }, parts));
const marks = { type: "Replace", pattern: { String: " " }, content: SPACE };

const files = {
    bert: wordpiece({ normalizer: bert(), pre_tokenizer: { type: "BertPreTokenizer" } }),
    cased: wordpiece({ normalizer: bert({ lowercase: false, handle_chinese_chars: false }), pre_tokenizer: { type: "Whitespace" } }),
    accents: wordpiece({ normalizer: bert({ strip_accents: false, clean_text: false }), pre_tokenizer: pre({ type: "WhitespaceSplit" }, { type: "Punctuation", behavior: "MergedWithPrevious" }) }, 100),
    unigram: unigram({ pre_tokenizer: pre({ type: "WhitespaceSplit" }, metaspace("always", true)) }),
    whole: unigram({ pre_tokenizer: metaspace("first", false), normalizer: normal({ type: "NFKC" }, { type: "Replace", pattern: { Regex: " {2,}" }, content: " " }) }),
    never: unigram({ pre_tokenizer: metaspace("never", true) }),
    prepended: characters({ normalizer: normal({ type: "Prepend", prepend: SPACE }, marks) }),
    first: characters({ pre_tokenizer: metaspace("first", false) }),
    always: characters({ pre_tokenizer: metaspace("always", true) }),
    unprefixed: characters({ normalizer: marks, pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "MergedWithPrevious", invert: false } }),
    fused: characters({ normalizer: marks }, { byte_fallback: false }),
    unfused: characters({ normalizer: marks }, { byte_fallback: false, fuse_unk: false }),
    dropped: characters({ normalizer: marks }, { byte_fallback: false, unk_token: null }),
    whole_words: characters({ normalizer: normal({ type: "Prepend", prepend: SPACE }, marks) }, { ignore_merges: true }),
};

const texts = ["Hello, world!", "hello the miller and the 1234 mills", "  the  and\t the\n\nend  ", "The Miller's mill; AND ING hello Hello", "a<x> b <x>  c<y>  d<y>e<|endoftext|> f",
    "Miller Millers miller the_Miller Miller!", "1 12 123 1234567 12a 3.14159", "na\u00efve caf\u00e9 cafe\u0301 \u00c9COLE \u0130stanbul \u1e9e", "\u4f60\u597d\u4e16\u754c \uff21\uff22 \ufb01n",
    "\u0391\u03b2\u03b3 \u03c2\u03a3 \u0439 \u05d0\u05d1 \u0e01\u0e33", "\u{1f469}\u200d\u{1f469}\u200d\u{1f467} \u{1f44d}\u{1f3fd} \u{1f3f3}\ufe0f", "don't they'll I'D WE'RE", "\u00a0x\u2003y\u200bz\u3000w\u0085v",
    "e\u0301\u0323 a\u0323\u0301 \u1100\u1161\u11a8 \uac01", "</s>the<unk>and<s> in[CLS]an[UNK]", "averyveryverylongwordthathasnoend", SPACE + "the " + SPACE + " " + SPACE + "and", "\ufffd\u0002\u0001x", " ", "\n", "!?.,--''"];

async function ids(tokenizer) {
    const rows = [];
    for (const text of texts) rows.push((await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds());
    return rows;
}

(async () => {
    const out = { texts, patches: {}, files: {} };
    for (const [name, patch] of Object.entries(patches))
        out.patches[name] = { patch, ids: await ids(Tokenizer.fromString(JSON.stringify(Object.assign({}, millbrook, patch)))) };
    for (const [name, tokenizer] of Object.entries(files))
        out.files[name] = { file: tokenizer, ids: await ids(Tokenizer.fromString(JSON.stringify(tokenizer))) };
    process.stdout.write(JSON.stringify(out).replace(/[\u007f-\uffff]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0")) + "\n");
})();
