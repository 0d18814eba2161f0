"""Complete runs on real data: `python -m timeloom.examples.NAME`.

Here belong scripts that load data, train, print what they found in words and numbers, and draw it where
matplotlib is installed. Here belongs nothing that another part of the package imports.
"""
