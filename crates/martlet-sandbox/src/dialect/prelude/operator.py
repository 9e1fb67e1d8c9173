def _mt_make_operator():
    def itemgetter(*keys):
        if len(keys) == 1:
            key = keys[0]
            return lambda x: x[key]
        return lambda x: tuple([x[key] for key in keys])

    def path(x, name):
        for part in name.split('.'):
            x = getattr(x, part)
        return x

    def attrgetter(*names):
        if len(names) == 1:
            name = names[0]
            return lambda x: path(x, name)
        return lambda x: tuple([path(x, name) for name in names])

    def methodcaller(name, *args, **kwargs):
        text = {'lower': lambda x: x.lower(), 'upper': lambda x: x.upper(), 'strip': lambda x: x.strip(),
                'split': lambda x: x.split(*args), 'title': lambda x: x.title(), 'keys': lambda x: x.keys(),
                'items': lambda x: x.items(), 'values': lambda x: x.values(), 'count': lambda x: x.count(*args),
                'replace': lambda x: x.replace(*args), 'startswith': lambda x: x.startswith(*args),
                'endswith': lambda x: x.endswith(*args), 'get': lambda x: x.get(*args)}

        def call(x):
            if name in text and type(x) in (str, dict, list, tuple):
                return text[name](x)
            return getattr(x, name)(*args, **kwargs)
        return call

    def setitem(a, b, c):
        a[b] = c
    return _mt_Module('operator', {
        'itemgetter': itemgetter, 'attrgetter': attrgetter, 'methodcaller': methodcaller, 'setitem': setitem,
        'add': lambda a, b: a + b, 'sub': lambda a, b: a - b, 'mul': lambda a, b: a * b,
        'truediv': lambda a, b: a / b, 'floordiv': lambda a, b: a // b, 'mod': lambda a, b: a % b,
        'pow': lambda a, b: a ** b, 'neg': lambda a: -a, 'pos': lambda a: +a, 'abs': lambda a: abs(a),
        'invert': lambda a: ~a, 'not_': lambda a: not a, 'truth': lambda a: bool(a),
        'eq': lambda a, b: a == b, 'ne': lambda a, b: a != b, 'lt': lambda a, b: a < b, 'le': lambda a, b: a <= b,
        'gt': lambda a, b: a > b, 'ge': lambda a, b: a >= b, 'and_': lambda a, b: a & b, 'or_': lambda a, b: a | b,
        'xor': lambda a, b: a ^ b, 'lshift': lambda a, b: a << b, 'rshift': lambda a, b: a >> b,
        'concat': lambda a, b: a + b, 'contains': lambda a, b: b in a, 'getitem': lambda a, b: a[b],
        'is_': lambda a, b: a is b, 'is_not': lambda a, b: a is not b, 'matmul': lambda a, b: a @ b,
        'countOf': lambda a, b: list(a).count(b), 'indexOf': lambda a, b: list(a).index(b)})


_mt_mod_operator = _mt_make_operator()
