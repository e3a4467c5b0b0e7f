"""The kernel of a session: runs its blocks of Python, one after the other, and records durably how each ended.

A server talks to it over a unix socket, but believes only the files. It shares its process with user code, which may
do anything to it; so every module takes the functions that it needs by name when it is imported, before user code runs.
"""

PROTOCOL = 1
