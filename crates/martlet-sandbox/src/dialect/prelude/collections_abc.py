def _mt_make_collections_abc():
    out = {}
    for name in ('Iterable', 'Iterator', 'Generator', 'Sequence', 'MutableSequence', 'Mapping', 'MutableMapping',
                 'Set', 'MutableSet', 'Callable', 'Hashable', 'Sized', 'Container', 'Collection', 'Awaitable',
                 'Coroutine', 'AsyncIterator', 'AsyncIterable', 'Reversible', 'KeysView', 'ValuesView', 'ItemsView'):
        out[name] = type(name, (), {})
    return _mt_Module('collections.abc', out)


_mt_mod_collections_abc = _mt_make_collections_abc()
