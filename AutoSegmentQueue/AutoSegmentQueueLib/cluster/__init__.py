"""Jobs on several machines: Dask distributed carries orders to nodes, the ledger decides as before.

``executor_dask`` is the queue's side, ``node`` the side of the machine that runs a command, ``transfer_*`` brings files where no folder is
shared, ``starting`` runs scheduler and nodes.
"""
