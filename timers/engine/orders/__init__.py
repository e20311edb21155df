"""Orders: executions that walk through the steps of a chain.

The rules are pure (timers/domain/chains); here they meet the rows.

    definitions   versions of chains, parsed once
    rows          timers_chain_order: read, locked and written by the batch
    trees         what follows from events, for an order, its branches and its parents; written in one transaction
    claimed       what a claim of a step needs: its action, its payload, or only a look at the order
    versions      an order that is resumed with another version of its chain
    priorities    which orders are claimed first
    step_end      the end of a step, in the transaction that records its outcome

Whoever changes an order of a tree locks the tree's root first, after timers and before claims. An order whose step can
be claimed has its place in `waiting`; while it is claimed, in `claim`; while it rests, in its row alone.
"""
