"""One module for each system that is measured: `open_net(job, variant)` returns a `Net`.

They run in the interpreter of their system, so that they import nothing of netdef's; `of_netdef` is the
exception.
"""
