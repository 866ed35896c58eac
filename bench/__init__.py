"""What `scripts/bench` runs: jobmgr and its peers side by side, on this machine, interleaved, medians.

`python -m bench jobs` starts 2,000 programs that do nothing, through everything at hand; `python -m bench submit` measures how soon a
submission runs on an idle server. Results are JSON in `bench/results/` and a table in `docs/performance.md`; both name the machine's kind,
never its name or its paths. What cannot run here is skipped in a sentence.
"""
