#!/usr/bin/env bash
# Each of the checks of the page finds what it is for.
source "$(dirname "$0")/lib.sh"
browser_test test_checks.py
