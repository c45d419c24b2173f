#!/usr/bin/env bash
# The real page in a real browser: errors, requests, order, filter, contrast, keyboard, phone, paper, strangers' texts.
source "$(dirname "$0")/lib.sh"
browser_test test_page.py
