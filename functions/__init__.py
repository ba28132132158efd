"""One module per Lambda function, named verb_noun: event in, one call into chalicelib, answer out."""
