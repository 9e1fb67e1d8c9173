def _mt_make_pprint():
    def show(x, column, width, sort_dicts):
        flat = repr(ordered(x)) if sort_dicts else repr(x)
        if column + len(flat) <= width or type(x) not in (list, tuple, dict, set) or not x:
            return flat
        pad = ' ' * (column + 1)
        if type(x) is dict:
            keys = list(x)
            if sort_dicts:
                keys = in_order(keys)
            parts = []
            for key in keys:
                head = repr(key) + ': '
                parts.append(head + show(x[key], column + 1 + len(head), width - 1, sort_dicts))
            return '{' + (',\n' + pad).join(parts) + '}'
        items = in_order(list(x)) if type(x) is set else list(x)
        ends = {list: '[]', tuple: '()', set: '{}'}[type(x)]
        parts = [show(item, column + 1, width - 1, sort_dicts) for item in items]
        return ends[0] + (',\n' + pad).join(parts) + ends[1]

    def in_order(keys):
        try:
            return sorted(keys)
        except TypeError:
            return keys

    def ordered(x):
        if type(x) is dict:
            return {key: ordered(x[key]) for key in in_order(list(x))}
        if type(x) is list:
            return [ordered(item) for item in x]
        if type(x) is tuple:
            return tuple([ordered(item) for item in x])
        return x

    def pformat(x, indent=1, width=80, depth=None, *, compact=False, sort_dicts=True):
        return show(x, 0, width, sort_dicts)

    def pprint(x, stream=None, indent=1, width=80, depth=None, *, compact=False, sort_dicts=True):
        print(show(x, 0, width, sort_dicts))

    def pp(x, *args, **options):
        pprint(x, sort_dicts=False)
    return _mt_Module('pprint', {'pformat': pformat, 'pprint': pprint, 'pp': pp})


_mt_mod_pprint = _mt_make_pprint()
