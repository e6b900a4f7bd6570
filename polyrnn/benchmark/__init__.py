"""How fast polyrnn is beside the loop that one would write by hand for one framework.

``polyrnn bench`` runs it. Each backend is measured in a process of its own, so that the
number of threads is settled before its framework is imported and no framework disturbs
another. Modules that import a framework are loaded by name in that process only.
"""
