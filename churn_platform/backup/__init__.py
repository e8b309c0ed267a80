"""Backup: all that a platform keeps, as one file, and that file as a platform again.

Here: taking it from a platform at work, and bringing it back. Not here: the commands (`cli.keeping`), or the drops,
which are the company's and stay where they are.

A backup holds what the platform's machine would hold if it had lost its power at one moment: whatever was answered as
done before that is in it, and what was half done is recovered as after a crash. So whatever tells of something else is
taken before what it tells of, and never refers to what was not there yet. Meanwhile no decision is made, since those
write to two places at once.
"""
