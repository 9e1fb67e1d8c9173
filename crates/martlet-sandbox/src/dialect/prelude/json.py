def _mt_make_json():
    import json

    def plain(x, default, sort_keys):
        if x is None or type(x) in (str, int, float, bool):
            return x
        if type(x) in (list, tuple):
            return [plain(item, default, sort_keys) for item in x]
        if type(x) is dict or hasattr(x, 'items') and hasattr(x, 'keys'):
            return {key: plain(value, default, sort_keys) for key, value in x.items()}
        if default is None:
            raise TypeError('Object of type ' + type(x).__name__ + ' is not JSON serializable')
        return plain(default(x), default, sort_keys)

    def dumps(obj, *, default=None, cls=None, sort_keys=False, **options):
        if cls is not None:
            encoder = cls()
            default = encoder.default
        return json.dumps(plain(obj, default, sort_keys), sort_keys=sort_keys, **options)

    def dump(obj, file, **options):
        file.write(dumps(obj, **options))

    def hook(x, pairs, function):
        if type(x) is list:
            return [hook(item, pairs, function) for item in x]
        if type(x) is dict:
            inner = [(key, hook(value, pairs, function)) for key, value in x.items()]
            return function(inner) if pairs else function(dict(inner))
        return x

    def loads(text, *, object_hook=None, object_pairs_hook=None, parse_float=None, parse_int=None, cls=None):
        if parse_float is not None or parse_int is not None or cls is not None:
            raise NotImplementedError('json.loads() takes object_hook and object_pairs_hook only here')
        out = json.loads(text)
        if object_pairs_hook is not None:
            return hook(out, True, object_pairs_hook)
        return out if object_hook is None else hook(out, False, object_hook)

    def load(file, **options):
        return loads(file.read(), **options)
    return _mt_Module('json', {'dumps': dumps, 'dump': dump, 'loads': loads, 'load': load})


_mt_mod_json = _mt_make_json()
