# Sorting with Python functions: for keys that call tools, and for classes with their own order.
def _mt_merge_sort(items):
    if len(items) < 2:
        return items
    middle = len(items) // 2
    left = _mt_merge_sort(items[:middle])
    right = _mt_merge_sort(items[middle:])
    out = []
    i = 0
    j = 0
    while i < len(left) and j < len(right):
        if _mt_less(right[j][0], left[i][0]):
            out.append(right[j])
            j += 1
        else:
            out.append(left[i])
            i += 1
    out.extend(left[i:])
    out.extend(right[j:])
    return out


def _mt_less(a, b):
    try:
        return a < b
    except TypeError:
        return _mt_lt(a, b)


def _mt_sorted(items, key=None, reverse=False):
    items = list(items)
    keys = [x if key is None else key(x) for x in items]
    try:
        order = sorted(range(len(items)), key=lambda i: keys[i], reverse=reverse)
        return [items[i] for i in order]
    except TypeError:
        pairs = [(keys[i], items[i]) for i in range(len(items))]
        if reverse:
            pairs.reverse()
        pairs = _mt_merge_sort(pairs)
        if reverse:
            pairs.reverse()
        return [pair[1] for pair in pairs]


def _mt_sort(items, *args, **kwargs):
    if type(items) is not list:
        return items.sort(*args, **kwargs)
    items[:] = _mt_sorted(items, *args, **kwargs)


_mt_no_default = type('_mt_no_default', (), {})()


def _mt_extreme(name, args, key, default, better):
    items = list(args[0]) if len(args) == 1 else list(args)
    if not items:
        if default is _mt_no_default:
            raise ValueError(name + '() iterable argument is empty')
        return default
    best = items[0]
    best_key = best if key is None else key(best)
    for x in items[1:]:
        k = x if key is None else key(x)
        if better(k, best_key):
            best = x
            best_key = k
    return best


def _mt_min(*args, key=None, default=_mt_no_default):
    return _mt_extreme('min', args, key, default, _mt_less)


def _mt_max(*args, key=None, default=_mt_no_default):
    return _mt_extreme('max', args, key, default, lambda a, b: _mt_less(b, a))


def _mt_map(function, *iterables):
    return [function(*args) for args in zip(*iterables)]


def _mt_filter(function, items):
    if function is None:
        return [x for x in items if x]
    return [x for x in items if function(x)]
