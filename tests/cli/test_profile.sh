#!/usr/bin/env bash
# Profiles of eval, compare and bench model: times that add up, values that are there or say why not, and numbers that are
# the same with and without. Never how fast anything is.
source "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || skip "needs python3"

# Python over records: `r` is the first file, `p` its profile, `r2` the second; prints what holds not.
check() { # WHAT, FILE, FILE OR "", STATEMENTS
    expect_equal "$1" "" "$(
        FIRST=$2 SECOND=$3 python3 - 2>&1 <<END
import json, os
def read(name):
    path = os.environ[name]
    return json.load(open(path)) if path else None
def say(condition, *what):
    if not condition: print(*what)
def whole(p):
    total = sum(x["seconds"] for x in p["phases"])
    say(abs(total - p["seconds"]) <= 0.02 * p["seconds"], "phases", total, "of", p["seconds"])
    say(0 <= p["overhead"] < 1, "overhead", p["overhead"]) # reading may be interrupted by what else runs
    there = {c["name"] for c in p["counters"] if not c.get("reason")}
    for c in p["counters"]:
        say(c.get("reason") or c["source"], c["name"], "has neither a source nor a reason")
    for x in p["phases"]:
        say(set(x["values"]) == there, x["phase"], "values", set(x["values"]) ^ there)
    for x in p["phases"] + p["groups"]:
        for name, v in x["values"].items():
            say((v["value"] is None) == (v["share"] == 0), x, name)
            say(0 <= v["share"] <= 1, x, name)
            if v.get("threads") and v["value"] is not None:
                say(len(v["threads"]) == p["threads"], name, "threads")
                say(abs(sum(v["threads"]) - v["value"]) <= 1e-6 * v["value"] + 1, name, "sum of threads")
    for phase in ("prefill", "decode"):
        pieces = sum(g["seconds"] for g in p["groups"] if g["phase"] == phase)
        layers = sum(s for l in p["layers"] if l["phase"] == phase for s in l["parts"].values())
        times = [x["seconds"] for x in p["phases"] if x["phase"] == phase] or [0]
        say(abs(pieces - layers) < 1e-6, phase, "groups", pieces, "layers", layers)
        say(pieces <= times[0], phase, "pieces", pieces, "of", times[0])
    hardware = {"cycles", "instructions", "l1d_misses", "l2_misses", "l3_misses"}
    if p.get("note"): # nothing is made up
        say(not there & hardware, "counters in spite of", p["note"])
        for name in hardware - {"cycles"}: say(p["per_token"][name] is None, name, p["per_token"][name])
    if "energy_package" not in there: say(p["per_token"]["energy_joules"] is None, "energy")
def numbers(run):
    return [(s["name"], s["fingerprint"], s["metrics"]) for s in run["suites"]]
r, r2 = read("FIRST"), read("SECOND")
p = r.get("profile")
$4
END
    )"
}

# eval: the process is the profile, the machine's limits and a start.
begin=$(date +%s.%N)
run eval millbrook-llama --suite stories --suite endings --suite translation --limit 24 --seed 7 --out "$folder/with" --profile
end=$(date +%s.%N)
expect_status 0
expect_no_controls
run eval millbrook-llama --suite stories --suite endings --suite translation --limit 24 --seed 7 --out "$folder/without"
expect_status 0
check "a profile" "$folder/with/run.json" "$folder/without/run.json" "
whole(p)
say(numbers(r) == numbers(r2), 'other numbers with a profile')
say('profile' not in r2 and list(r2['counters']) == ['cpu_seconds'], 'a profile that nobody asked for')
say(abs(p['seconds'] - r['seconds']) <= 0.02 * r['seconds'] + 0.05, 'seconds', p['seconds'], r['seconds'])
wall = $end - $begin - p['roofline']['seconds']
say(p['seconds'] <= wall, 'seconds', p['seconds'], 'of', wall)
say(wall - p['seconds'] <= 0.05 * wall + 1, 'seconds', p['seconds'], 'of', wall)
phases = {x['phase']: x for x in p['phases']}
say({'load', 'prompts', 'prefill', 'decode', 'scoring', 'statistics'} <= set(phases), set(phases))
say(phases['other']['seconds'] <= 0.05 * p['seconds'] + 0.05, 'other', phases['other']['seconds'])
say(p['tokens'] == sum(s['tokens']['computed'] for s in r['suites']), 'tokens', p['tokens'])
for key in ('task_clock_seconds', 'page_faults', 'peak_resident_bytes'): say(r['counters'][key] > 0, key)
say(r['counters']['cpu_seconds'] * 1.1 + 0.1 > r['counters']['task_clock_seconds'], 'processor time')
if p.get('note'): say(r['counters']['instructions_per_token'] is None and r['counters']['ipc'] is None, 'made up')
gate = [g for g in p['groups'] if g['part'] == 'gate and up' and g['phase'] == 'prefill']
say(len(gate) == 1 and gate[0]['layers'] == 6 and gate[0]['shape'] == '768x256, 768x256' and gate[0]['weights'] == 'f16', gate)
say(gate[0]['flop'] > 0 and gate[0]['limit']['share'] > 0, gate)
norms = [g for g in p['groups'] if g['part'] == 'norms']
say(all(g['limit'] is None and g['flop_per_byte'] is None for g in norms), norms)
"

# What an earlier process did is not this one's, and nothing is said per token.
run eval millbrook-llama --suite stories --limit 24 --out "$folder/again"
run eval millbrook-llama --suite stories --limit 24 --out "$folder/again" --profile
expect_status 0
check "a run that went on" "$folder/again/run.json" "" "
whole(p)
say(p.get('resumed') is True and p['tokens'] is None, p['tokens'])
say(set(p['per_token'].values()) == {None}, p['per_token'])
say(all(r['counters'][k] is None for k in r['counters'] if k.endswith('_per_token')), r['counters'])
say(r['counters']['task_clock_seconds'] is None and r['counters']['page_faults'] is None, r['counters'])
say('prefill' not in [x['phase'] for x in p['phases']], 'passes')
"

# Counters by name: these and no others; what is no counter is refused before any work.
run eval millbrook-llama --suite stories --limit 2 --out "$folder/named" --counters task_clock,page_faults
expect_status 0
check "counters by name" "$folder/named/run.json" "" "
say([c['name'] for c in p['counters']] == ['task_clock', 'page_faults'], p['counters'])
say(r['counters']['page_faults'] > 0 and r['counters']['context_switches'] is None, r['counters'])
"
run eval millbrook-llama --suite stories --limit 2 --counters task_clok
expect_error 2 'task_clok.*task_clock'
run compare millbrook-llama @f16 --suite stories --limit 2 --out "$folder/none" --counters ,
expect_error 2 '--counters ","'

# What a calibration reads is not the passes'.
head -c 6000 datasets/millbrook/calibration.txt >"$folder/text"
run eval millbrook-llama@gptq:8 --suite stories --limit 2 --calibration "$folder/text" --out "$folder/fitted" --profile
expect_status 0
check "a calibration" "$folder/fitted/run.json" "" "
whole(p)
say(any(g['phase'] == 'pack' and g['part'] == 'attention' and g['bytes'] > 0 for g in p['groups']), 'no calibration')
weights = sum(g['bytes'] for g in p['groups'] if g['phase'] in ('prefill', 'decode') and g['part'] != 'attention')
say(abs(r['counters']['weight_bytes_per_token'] * p['tokens'] - weights) < 1, 'weights', weights, r['counters'])
"

# compare: each subject its own, and the baseline's second walk is no candidate's.
run compare millbrook-llama@f32 @gguf:q4_0+fast --suite stories --limit 24 --profile --out "$folder/compared"
expect_status 0
check "compared" "$folder/compared/compare.json" "" "
base, candidate = r['subjects']
for s in (base, candidate):
    whole(s['profile'])
    run = json.load(open('$folder/compared/' + s['run'] + '/run.json'))
    say(run['profile'] == s['profile'] and run['counters'] == s['counters'], s['name'], 'is not its run')
say('beside' not in base['profile'], 'something beside the baseline')
say(0 < candidate['profile']['beside'], 'nothing beside the candidate')
flop = {s['name']: sum(x['flop'] for x in s['profile']['phases'] if x['phase'] == 'prefill') for s in (base, candidate)}
say(len(set(flop.values())) == 1, 'the same work', flop)
say({g['weights'] for g in candidate['profile']['groups']} <= {'', 'q4_0', 'q8_0', 'f16', 'f32'}, candidate['profile']['groups'])
say(candidate['profile']['per_token']['bytes'] < base['profile']['per_token']['bytes'] / 2, 'bytes of a token')
say(candidate['profile']['roofline']['peaks'] == base['profile']['roofline']['peaks'], 'measured once')
own = candidate['profile']['seconds'] - candidate['profile']['beside']
say(abs(own - candidate['seconds']) <= 0.02 * own + 0.05, 'seconds', own, candidate['seconds'])
"
run compare "$folder/compared/runs/"* --profile --out "$folder/finished"
expect_error 2 '--profile: is for subjects that are run'

# bench model: a profile of each test beside the times; the same columns with and without.
run bench model millbrook-llama -p 32 -n 8 --ppl 16 -r 2 --no-memory --no-machine --profile --json
expect_status 0
cp "$kept/stdout" "$folder/bench.json"
check "a bench" "$folder/bench.json" "" "
for x, phase in zip(r['results'], ('prefill', 'decode', 'prefill')):
    p = x['profile']
    whole(p)
    tokens = 2 * max(x['n_prompt'], x['n_gen'], x['n_score'])
    say(p['tokens'] == tokens, x['test'], p['tokens'])
    times = {y['phase']: y['seconds'] for y in p['phases']}
    say(times[phase] > 0.3 * p['seconds'], x['test'], times)
    say(p['roofline'] is None and p['roofline_reason'] == '--no-machine', p['roofline'])
    say(all(g['limit'] is None for g in p['groups']), 'a limit')
    say(p['per_token']['bytes'] > 0, p['per_token'])
flop = sum(y['flop'] for y in r['results'][0]['profile']['groups'] if y['shape'])
say(abs(flop - 2 * r['results'][0]['flop']) < 1, 'flop', flop, r['results'][0]['flop'])
"
for profile in "" --profile; do
    run bench model millbrook-llama -p 8 -n 2 -r 1 --no-memory --no-machine --csv $profile
    expect_status 0
    head -n 1 "$kept/stdout" >"$folder/columns$profile"
done
expect_same_file "$folder/columns" "$folder/columns--profile"
expect_stdout_match '"joules_per_token","task_clock_seconds_per_token","bytes_per_token"'
expect_equal "bytes of a token of pp8" 1 "$(awk -F, '/"pp8"/ { gsub("\"", "", $NF); print ($NF > 0) }' "$kept/stdout")"
run bench model millbrook-llama -p 8 -n 2 -r 1 --no-memory --no-machine --profile
expect_status 0
expect_stdout_match '^what a token costs$'
expect_stdout_match 'CPU ms/t +MB/t$'
finish
