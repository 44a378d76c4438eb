"""Queries that need not be built and compiled again.

A queryset that only Django's methods made is a path in a tree (`paths`, `tree`), each
method (`methods`) a step of it (`steps`), learnt by the keys of `keys`. A path ends in
a statement with holes for its values (`entry`, `holes`): what Django compiles (`asks`)
is filled in and sent (`execution`).

For who sends statements of another kind, as UPDATE by a queryset's conditions:

- `steps.path_of(queryset)`: its `Path`, None where it has a query. `path.node.entries`
  keeps what is learnt of it, by a key of one's own; `path.values` fill `node.holes`.
- `entry.learn(queryset, path, ask, make_plan, alias)`: the statement, an `Entry`. `ask`
  is given the queryset, its query and the alias; it returns compiler, SQL, parameters.
- `entry.fill(path, wrapper)`: SQL, parameters and the template of one run. Raises
  `keys.Missed`: Django's way, this time.
- `paths.djangos(queryset, path)`: a queryset with a query, for Django's method.
- `tree.grown()` whenever something is kept, `tree.clear()` to forget everything.
"""
