"""Reads what strangers sent in a process of its own, so that no mail can cost the gateway more than that.

`reader` is the gateway's side; `child` is the program on the other side of the line, which imports the core
and nothing else. The package itself imports neither, so that the child starts fast and stays small.
"""
