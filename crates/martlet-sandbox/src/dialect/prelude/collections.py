def _mt_make_collections():
    class Base:
        def __init__(self, *args, **kwargs):
            self.data = dict(*args, **kwargs)

        def __getitem__(self, key):
            if key not in self.data and hasattr(self, '__missing__'):
                return self.__missing__(key)
            return self.data[key]

        def __setitem__(self, key, value):
            self.data[key] = value

        def __delitem__(self, key):
            self.data.pop(key)

        def __contains__(self, key):
            return key in self.data

        def __iter__(self):
            return iter(self.data)

        def __len__(self):
            return len(self.data)

        def __bool__(self):
            return bool(self.data)

        def __eq__(self, other):
            return self.data == (other.data if hasattr(other, 'data') else other)

        def __repr__(self):
            return repr(self.data)

        def get(self, key, default=None):
            return self[key] if key in self.data else default

        def keys(self):
            return self.data.keys()

        def values(self):
            return self.data.values()

        def items(self):
            return self.data.items()

        def pop(self, *args):
            return self.data.pop(*args)

        def setdefault(self, key, default=None):
            if key not in self.data:
                self[key] = default
            return self.data[key]

        def update(self, *args, **kwargs):
            for key, value in dict(*args, **kwargs).items():
                self[key] = value

        def clear(self):
            self.data.clear()

        def copy(self):
            out = type(self)()
            out.data = dict(self.data)
            return out

    names = ['__init__', '__getitem__', '__setitem__', '__delitem__', '__contains__', '__iter__', '__len__',
             '__bool__', '__eq__', '__repr__', 'get', 'keys', 'values', 'items', 'pop', 'setdefault', 'update',
             'clear', 'copy']
    UserDict = _mt_class(((Base, tuple(names)),), ())(type('UserDict', (), {}))

    class OrderedDict:
        def move_to_end(self, key, last=True):
            value = self.data.pop(key)
            if last:
                self.data[key] = value
            else:
                rest = list(self.data.items())
                self.data.clear()
                self.data[key] = value
                self.data.update(rest)

        def popitem(self, last=True):
            if not self.data:
                raise KeyError('dictionary is empty')
            key = list(self.data)[-1 if last else 0]
            return (key, self.data.pop(key))

        def __repr__(self):
            return 'OrderedDict(' + (repr(self.data) if self.data else '') + ')'

    OrderedDict = _mt_class(((Base, tuple(names)),), ('move_to_end', 'popitem', '__repr__'))(OrderedDict)

    class ChainMap:
        def __init__(self, *maps):
            self.maps = list(maps) or [{}]

        def __getitem__(self, key):
            for one in self.maps:
                if key in one:
                    return one[key]
            raise KeyError(key)

        def __setitem__(self, key, value):
            self.maps[0][key] = value

        def __contains__(self, key):
            return any([key in one for one in self.maps])

        def merged(self):
            out = {}
            for one in self.maps[::-1]:
                out.update(one)
            return out

        def __iter__(self):
            return iter(self.merged())

        def __len__(self):
            return len(self.merged())

        def __bool__(self):
            return bool(self.merged())

        def __repr__(self):
            return 'ChainMap(' + ', '.join([repr(one) for one in self.maps]) + ')'

        def get(self, key, default=None):
            return self[key] if key in self else default

        def keys(self):
            return self.merged().keys()

        def values(self):
            return self.merged().values()

        def items(self):
            return self.merged().items()

        def new_child(self, m=None):
            return ChainMap({} if m is None else m, *self.maps)

    class UserList:
        def __init__(self, items=()):
            self.data = list(items)

        def __getitem__(self, key):
            return self.data[key]

        def __iter__(self):
            return iter(self.data)

        def __len__(self):
            return len(self.data)

        def __repr__(self):
            return repr(self.data)

        def append(self, x):
            self.data.append(x)
    return _mt_Module('collections', {'OrderedDict': OrderedDict, 'ChainMap': ChainMap, 'UserDict': UserDict,
                                      'UserList': UserList})


_mt_mod_collections = _mt_make_collections()
