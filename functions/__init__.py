"""One module per Lambda function, named verb_noun: event in, one call into chalicelib, answer out."""

import gc

from chalicelib import config

if config.in_lambda():
    # Importing makes some 80,000 objects that all stay. Looking among them for garbage, 180 times, takes a fifth of its time.
    gc.set_threshold(200_000)
