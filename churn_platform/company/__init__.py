"""Company: all that is particular to one company, declared in one file that a person can write, read and sign.

Here: what a declaration may say (`declaration`), and reading one (`reading`); `streamflow.toml` is the one that is
shipped. Not here: the contract that follows from it (`contracts`), or what is done with that (everything else).
"""
