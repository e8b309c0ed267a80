"""Proposing: a declaration for files of any names, as far as their data say what they are.

Here: what such files are called (`file_names`), reading them (`sniffing`), how they write things (`habits`), the key
and the table of customers (`customers`), the label (`label_column`), columns (`profiles`, `judging`, `leaks`,
`columns`), and all of it together (`proposal`), as TOML (`toml`). Not here: what a declaration may say (`company`), or
reading a drop by one (`intake`).
"""
