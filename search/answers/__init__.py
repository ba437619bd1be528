"""Answers: found in responses, brought into canonical form, compared by it.

pool.py       reads answers: extracts, deduplicates, caches, asks the workers
extract.py    finds the answer of a response
workers.py    starts and asks the host process, host.py, which owns the worker processes, worker.py
canonical.py  the key of an answer, from reading/ (text to tree) and meaning/ (tree to key)
text.py       the key of an answer that is no mathematics
"""
