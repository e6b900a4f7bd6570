"""The benchmark: the time of `polyrnn.rnn` relative to a loop written by hand for the framework.

``polyrnn bench`` runs it. Each backend is measured in a process of its own, so that the
number of threads is set before its framework is imported and no framework affects another.
The harness of a backend names the hand-written loops; if it names none, the backend is
measured against `polyrnn.python_loop`. Both are imported in that process only.
"""
