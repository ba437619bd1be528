"""Answers checked against their problem: an equation is solved by what it holds for.

question.py      what a problem asks: its equations and their unknowns
solution.py      what an answer gives the unknowns
substitution.py  whether the equations hold, by SymPy; in worker processes only
reader.py        the reader of answers that checks each
"""
