"""Benchmarks.

`python -m bench [row ...]`, `make bench` for all of them, `--write` to renew the table in docs/benchmarks.md.

Machines are noisy, so what counts is a ratio: our figure against a floor (the least that could do the same)
or a peer, measured in turns in the same run, with its spread. Absolute figures stand beside it for
orientation.

A row is a module of this package, found by being here (`bench/harness` is what rows are made with, not a
row):

    '''One line: what the row measures.'''

    BUDGET_S = 60                      # it plans its rounds to end well within; at twice this it is killed
    OPTIONAL = True                    # only if it is not for `make bench` but for `python -m bench name`

    def run(stand: Stand) -> Iterator[Figure]:
        turns = in_turns(ours, floor, rounds=30)       # two callables; timed, unless they return a number of their own
        yield Figure("name of the line", "what it means", turns.ours, "ms", floor=turns.floor, floor_is="the
        bare AWS calls",
                     ratio=turns.ratio, limit=at_most(1.3), grows="how it grows, and with what")

Each row runs in a process of its own. `bench_environment` gives it, when it asks: `stand.stack` (a local
cloud of the benchmarks' own, with the product's environment set in this process, so that chalicelib can be
called; `stand.env` is its stack.env), `stand.exchanges` (the exchange simulator, which the cloud's functions
reach too), `stand.seed` (the only source of randomness), `stand.ends_at`. A row leaves the stand
as it found it: its own users and accounts, no faults, no changed settings.
"""
