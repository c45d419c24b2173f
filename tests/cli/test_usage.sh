#!/usr/bin/env bash
# Mistakes on the command line: the exit status, one line that says what is wrong, and the name that was meant.
source "$(dirname "$0")/lib.sh"
L=millbrook-llama

# STATUS | WORDS | ARGUMENTS; quotes in the arguments are a shell's
while IFS='|' read -r expected words arguments; do
    eval "run $arguments"
    expect_error "$expected" "$words"
done <<'CASES'
2|evall: unknown command, did you mean "eval"\?|evall
2|xyzzy: unknown command \(kerf --help lists them\)|xyzzy
2|--limt: unknown option, did you mean "--limit"\?|eval $L --limt 3
2|--zzz: unknown option \(--help lists them\)|eval $L --zzz
2|-x: unknown option|backends -x
2|--jsn: unknown option, did you mean "--json"\?|inspect $L --jsn
2|absmx: no such variant, did you mean "absmax"\?|eval $L@int8:absmx
2|q8_1: no such variant, did you mean "q4_1"\?|compare $L @gguf:q8_1
2|f99: no such backend \(known: f32, f16, bf16, int8, gguf, gptq, rtn\)|eval $L@f99
2|f23: no such backend, did you mean "f32"\?|eval $L@f23
2|a type or preset must follow, as in gguf:q8_0 or gguf:q4_k_m|eval $L@gguf
2|a scheme must follow, as in int8:absmax|eval $L@int8
2|per: must be row, tensor or block|eval $L@int8:absmax,per=colum
2|\(empty\): no such backend|eval $L@
2|a model must stand before the @|eval @f16
2|a model must stand before the @|eval ''
2|a model must stand before the \+|eval +fast
2|\+fats: must be \+exact or \+fast|eval $L@f16+fats
2|"\+fats": \+fats: must be|compare $L +fats
2|--math fats: must be exact or fast|eval $L --math fats
2|--math fats: must be exact or fast|generate $L --prompt x --math fats
2|--math fats: must be exact or fast|perplexity $L --file $folder --math fats
2|--math : must be exact or fast|compare $L @f16 --math ''
2|\+fast: this command takes no math with a subject|quantize $L+fast -o $folder/x.gguf
2|\+exact: this command takes no math|imatrix $L@f16+exact --data x -o $folder/x.gguf
4|millbrook-llama\+fats: no such file or folder|eval $L+fats
2|"endngs": no such suite, did you mean "endings"\?|eval $L --suite endngs
2|"zzz": no such suite \(kerf suites lists them\)|eval $L --suite zzz
2|"stores": no such suite, did you mean "stories"\?|suites stores
4|millbrook-lama: .*did you mean "millbrook-llama"\?|eval millbrook-lama
4|zzz: no such file or folder.*millbrook-llama, millbrook-gpt2|inspect zzz
4|no-such.gguf: no such file or folder|generate no-such.gguf --prompt x
4|no-such.yaml: .*No such file|eval $L --suite no-such.yaml
4|no-such.txt: .*No such file|tokenize $L --file no-such.txt
2|model.norm.weigth is not there, did you mean "model.norm.weight"\?|inspect $L --tensor model.norm.weigth --dump $folder/x
2|zzz is not there$|inspect $L --tensor zzz --dump $folder/x
2|--tensor and --dump go together|inspect $L --tensor model.norm.weight
2|--tensor and --dump go together|inspect $L --dump $folder/x
2|--json: takes no value|inspect $L --json=1
2|--limit: a value must follow \(N\)|eval $L --limit
2|--suite: a value must follow|eval $L --suite
2|--out: a value must follow|eval $L --out
2|--prompt: a value must follow|generate $L --prompt
2|-o: a value must follow|quantize $L -o
2|-o FILE.gguf is missing|quantize $L@f16
2|--prompt TEXT is missing|generate $L
2|--stop: an empty text|generate $L --prompt x --stop ''
2|--limit: "0" must be a whole number|eval $L --limit 0
2|--limit: "-1" must be a whole number|eval $L --limit -1
2|--limit: "3x" must be a whole number|eval $L --limit 3x
2|--limit: "1.5" must be a whole number|eval $L --limit=1.5
2|--limit: "" must be a whole number|eval $L --limit=
2|--limit: "99999999999999999999"|eval $L --limit 99999999999999999999
2|--threads: "0" must be a whole number|eval $L --threads 0
2|--threads: 1025 is more than 1024|generate $L --prompt x --threads 1025
2|--batch: "0" must be a whole number|eval $L --batch 0
2|--seed: "-1" must be a whole number|eval $L --seed -1
2|--max-tokens: "0" must be a whole number|generate $L --prompt x --max-tokens 0
2|eval takes one SUBJECT, not 0|eval
2|eval takes one SUBJECT, not 2|eval $L $L
2|compare takes a BASELINE and at least one CANDIDATE|compare $L
2|inspect takes one MODEL, not 0|inspect
2|generate takes one SUBJECT, not 2|generate $L $L --prompt x
2|quantize takes one SUBJECT, not 0|quantize -o $folder/x
2|tokenize takes a MODEL and either a TEXT or --file FILE|tokenize $L
2|tokenize takes a MODEL and either a TEXT or --file FILE|tokenize $L text --file x
2|backends takes no operand|backends f32
2|int8:absmax": GGUF has no type for it|quantize $L@int8:absmax -o $folder/x.gguf
3|is a folder, not a regular file|eval $L --suite $folder/
3|is a device, pipe or socket|inspect /dev/zero
CASES
expect_files "$folder"

# What is asked for in another order or spelling is the same.
run eval $L --suite endings --limit 1
expect_status 0
cp "$kept/stdout" "$kept/expected"
run eval --limit=1 --suite=endings -- $L
expect_status 0
sed -i -E "/^(seconds|tokens\/s)/d" "$kept/stdout" "$kept/expected"
expect_stdout_golden "$kept/expected"

# Every suite that is listed has a name that loads, and so has every backend.
run suites
expect_status 0
expect_stderr_empty
names=$(awk '/^readers/{exit} /^[a-z]/{print $1}' "$kept/stdout")
expect_equal "at least 7 suites" true "$([ "$(wc -w <<<"$names")" -ge 7 ] && echo true)"
expect_stdout_match '^  jsonl +a JSON object on each line: as the objects have them$'
expect_stdout_match '^  csv .*: as columns names them \(dataset_kwargs'
words() { tr -s ' \n' '\n' <"$kept/stdout"; }
words >"$folder/wide"
for columns in 80 40; do
    COLUMNS=$columns run suites
    expect_status 0
    expect_equal "lines of more than $columns columns" "" "$(grep -E "^.{$((columns + 1)),}\$" "$kept/stdout" | grep -v 'exact_match,flexible')"
    expect_equal "words in $columns columns" "$(cat "$folder/wide")" "$(words)"
done
for command in eval compare; do
    operands="millbrook-llama"
    [ $command = eval ] || operands="millbrook-llama @f16"
    run $command $operands --apply-chat-template
    expect_error 2 '--apply-chat-template: chat templates are out of scope'
done
run suites $names
expect_status 0
expect_equal "lines of suites" $((2 * $(wc -w <<<"$names"))) "$(wc -l <"$kept/stdout")"
run backends
expect_status 0
expect_stderr_empty
for backend in f32 f16 bf16 int8:absmax gguf:q8_0 gguf:q4_0; do
    expect_stdout_match "^ *$backend( |$)"
done
finish
