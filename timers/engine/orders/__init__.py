"""Orders: executions that walk through the steps of a chain.

The rules are pure (timers/domain/chains); this package applies them to the rows.

    definitions   versions of chains, parsed once
    rows          timers_chain_order: read, lock and write in batches
    trees         the consequences of events for an order, its branches and its parents; written in one transaction
    claimed       what a claim of a step needs: its action, its payload, or only an inspection of the order
    versions      resume an order with another version of its chain
    priorities    which orders are claimed first
    step_end      the end of a step, in the transaction that records its outcome

To change an order, lock the root of its tree first; timers/engine/__init__.py has the order of all locks. An order
whose step can be claimed is stored in `waiting`; while it is claimed, in `claim`; while it rests, only in its own row.
"""
