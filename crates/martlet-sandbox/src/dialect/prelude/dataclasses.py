def _mt_make_dataclasses():
    def table(x):
        found = getattr(x, '__dataclass_fields__', None)
        if found is None:
            raise TypeError('must be called with a dataclass type or instance')
        return found

    def fields(x):
        return tuple(table(x).values())

    def plain(x, factory):
        if type(x) != type(int) and hasattr(x, '__dataclass_fields__'):
            return factory([(name, plain(getattr(x, name), factory)) for name in x.__dataclass_fields__])
        if type(x) is list:
            return [plain(item, factory) for item in x]
        if type(x) is tuple:
            return tuple([plain(item, factory) for item in x])
        if type(x) is dict:
            return {plain(key, factory): plain(value, factory) for key, value in x.items()}
        return x

    def asdict(x, *, dict_factory=dict):
        table(x)
        return plain(x, dict_factory)

    def astuple(x):
        return tuple([getattr(x, name) for name in table(x)])

    def replace(x, **changes):
        values = {name: getattr(x, name) for name in table(x)}
        for name in changes:
            if name not in values:
                raise TypeError(type(x).__name__ + '.__init__() got an unexpected keyword argument ' + repr(name))
        values.update(changes)
        return type(x)(**values)
    return _mt_Module('dataclasses', {'fields': fields, 'asdict': asdict, 'astuple': astuple, 'replace': replace})


_mt_mod_dataclasses = _mt_make_dataclasses()
