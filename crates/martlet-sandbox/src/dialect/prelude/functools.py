def _mt_make_functools():
    def update_wrapper(wrapper, wrapped, **options):
        try:
            _mt_function_names[wrapper] = _mt_name(wrapped)
        except (AttributeError, TypeError):
            pass
        return wrapper

    def wraps(wrapped, **options):
        return lambda wrapper: update_wrapper(wrapper, wrapped)

    class Key:
        def __init__(self, compare, obj):
            self.compare = compare
            self.obj = obj

        def __lt__(self, other):
            return self.compare(self.obj, other.obj) < 0

        def __gt__(self, other):
            return self.compare(self.obj, other.obj) > 0

        def __eq__(self, other):
            return self.compare(self.obj, other.obj) == 0

    def cmp_to_key(compare):
        return lambda obj: Key(compare, obj)

    class Dispatch:
        def __init__(self, function):
            self.function = function
            self.table = []
            self.__name__ = _mt_name(function)

        def register(self, kind, function=None, names=None):
            if function is not None:
                self.table.append((kind, function))
                return function

            def add(function):
                self.table.append((kind, function))
                return function
            return add

        def dispatch(self, kind):
            for known, function in self.table:
                if known is kind:
                    return function
            return self.function

        def __call__(self, first, *args, **kwargs):
            for kind, function in self.table:
                if type(first) is kind:
                    return function(first, *args, **kwargs)
            for kind, function in self.table:
                if _mt_isinstance(first, kind):
                    return function(first, *args, **kwargs)
            return self.function(first, *args, **kwargs)
    return _mt_Module('functools', {'wraps': wraps, 'update_wrapper': update_wrapper, 'cmp_to_key': cmp_to_key,
                                    'total_ordering': _mt_total_ordering, 'singledispatch': Dispatch})


_mt_mod_functools = _mt_make_functools()
