"""Benchmarks.

`python -m bench [case ...]`, `make bench` for all cases, `--write` to update the table in docs/benchmarks.md.

Machines are noisy, so the result is a ratio with its spread: our figure against a baseline (the least that
could do the same) or a peer, measured in turn in the same run. Absolute figures are for orientation.

A case is a module of this package (`bench/harness` is not a case):

    '''One line: what the case measures.'''

    BUDGET_S = 60    # it plans its rounds to end well within; at twice this it is killed
    OPTIONAL = True  # only for cases that `make bench` skips and `python -m bench name` runs

    def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
        # two callables; timed, unless they return a number of their own
        turns = interleaved(ours, baseline, rounds=30)
        yield Figure(
            "name of the line", "what it means", turns.ours, "ms", baseline=turns.baseline,
            floor_is="the bare AWS calls", ratio=turns.ratio, limit=at_most(1.3), grows="how, and with what",
        )

Each case runs in its own process. `bench_environment` has, each started on first use:

- `stack`: the benchmarks' own local cloud, with the product's environment set in this process, so that
  chalicelib can be called. `env` is its stack.env.
- `exchanges`: the exchange simulator, which the cloud's functions use, too.
- `seed`: the only source of randomness.
- `ends_at`: the end of the case's budget.

A case has its own users and accounts, and leaves no faults and no changed settings behind.
"""
