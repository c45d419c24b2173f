#!/usr/bin/env bash
# What kerf counters says of this machine: nothing is invented, and everything that is not there has its reason.
source "$(dirname "$0")/lib.sh"
ours='cycles instructions branches branch_misses l1d_misses l1i_misses l2_misses l3_misses dtlb_misses itlb_misses
stalls_frontend stalls_backend fp_ops vector_ops task_clock page_faults page_faults_major context_switches
context_switches_forced peak_resident energy_package energy_dram'

section() { # counted|not: names of the table's part
    sed -n "/^$1 .*here$/,/^$/s/^  \([^ ]*\)  .*/\1/p" "$kept/stdout" | grep -v NAME
}

COLUMNS=400 run counters --threads 2
expect_status 0
expect_stderr_empty
expect_no_controls
expect_stdout_match '^.+, 2 threads: .+'
there=$(section counted)
absent=$(section not)
expect_equal "every counter once" "$(tr ' ' '\n' <<<"$ours" | sort)" "$(sort <<<"$there"$'\n'"$absent")"
for name in task_clock page_faults page_faults_major context_switches context_switches_forced peak_resident; do
    grep -qx $name <<<"$there" || fail "$name counted here" "$absent"
done
expect_stdout_match '^  task_clock +threads +ns +.* \(CLOCK_THREAD_CPUTIME_ID\)$'
expect_stdout_match '^  peak_resident +process +bytes +.* \(getrusage\)$'
expect_stdout_match '^reading all takes [0-9.]+ us, hardware alone [0-9.]+ us$'
for name in $absent; do expect_stdout_match "^  $name +(threads|machine) .*: .{15,}$"; done

# Hardware is there where Linux shows it, and then by a name of PAPI's.
if compgen -G '/sys/bus/event_source/devices/cpu*' >/dev/null || compgen -G '/sys/bus/event_source/devices/armv*' >/dev/null; then
    grep -qx cycles <<<"$there" || expect_stdout_match '^  cycles .*: (Linux|PAPI) '
else
    expect_stdout_match ': this machine has no performance counters: Linux shows none .*\(PAPI: .+\)$'
    expect_stdout_match '^  cycles +threads +cycles of the core in user code: this machine has no performance counters$'
    expect_equal "hardware counters" "" "$(grep -xE 'cycles|instructions|.*_misses|stalls_.*|.*_ops|branches' <<<"$there")"

    # Where PAPI knows a CPU but Linux does not count: libpfm is told to take this machine for another one.
    command_line='LIBPFM_FORCE_PMU=skx kerf counters'
    COLUMNS=400 LIBPFM_FORCE_PMU=skx run counters cycles l3_misses
    expect_status 0
    expect_stdout_match "threads: PAPI knows this CPU's counters, but none can be counted: Linux counts no PAPI_TOT_CYC here"
    expect_stdout_match '^  l3_misses .*: Linux counts no LONGEST_LAT_CACHE:MISS here, which PAPI knows$'
fi
if [ ! -e /sys/class/powercap/intel-rapl:0 ]; then
    expect_equal "energy" "" "$(grep energy <<<"$there")"
    COLUMNS=400 run counters energy_package
    expect_stdout_match '^  energy_package +machine +uJ +.*: no RAPL: /sys/class/powercap .*'
fi

# The same for programs.
run counters --json --threads 2
expect_status 0
expect_stderr_empty
expect_json "$kept/stdout"
expect_stdout_match '^ "schema": "kerf-counters-1",$'
expect_equal "names" "$(tr ' ' '\n' <<<"$ours" | sort)" "$(sed -n 's/^ *"name": "\(.*\)",$/\1/p' "$kept/stdout" | sort)"
expect_equal "reasons" "$(wc -w <<<"$absent")" "$(grep -c '^ *"reason": "..*"' "$kept/stdout")"
expect_equal "absent sources" "$(wc -w <<<"$absent")" "$(grep -c '"source": null' "$kept/stdout")"

# Names: ours, PAPI's, and what is neither.
run counters task_clock sde:::nobody::x other:::y instructions --json
expect_status 0
expect_equal "names" "task_clock sde:::nobody::x other:::y instructions" "$(sed -n 's/^ *"name": "\(.*\)",$/\1/p' "$kept/stdout" | xargs)"
expect_stdout_match '"reason": "PAPI has no component of this name here"'
expect_stdout_match '"reason": "PAPI.s component sde is off: .+"'
run counters $'evil\e[31m::X'
expect_status 0
expect_no_controls
run counters l3_mises
expect_error 2 'l3_mises: no counter of this name, did you mean "l3_misses"\?$'
run counters PAPI_NO_SUCH
expect_error 2 'PAPI_NO_SUCH: no counter of this name'
run counters "$(printf 'A%.0s' {1..5000})"
expect_status 0
OMP_THREAD_LIMIT=1 run counters --threads 2
expect_status 0
expect_stdout_match '^.+, 1 threads: '
run counters --threads 0
expect_error 2 threads
finish
