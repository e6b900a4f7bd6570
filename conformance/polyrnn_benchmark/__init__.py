"""How fast polyrnn is beside the loop that one would write by hand for one framework.

``polyrnn bench`` runs it. Each backend is measured in a process of its own, so that the
number of threads is settled before its framework is imported and no framework disturbs
another. The loops by hand are those that the harness of the backend names; a backend
whose harness names none is measured against `polyrnn.python_loop`. Both are loaded in that
process only.
"""
