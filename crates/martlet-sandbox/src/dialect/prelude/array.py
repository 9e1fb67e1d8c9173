def _mt_make_array():
    class array:
        def __init__(self, typecode, items=()):
            self.typecode = typecode
            self.items = list(items)

        def tolist(self):
            return list(self.items)

        def append(self, x):
            self.items.append(x)

        def extend(self, items):
            self.items.extend(items)

        def pop(self, *at):
            return self.items.pop(*at)

        def __getitem__(self, key):
            return self.items[key]

        def __setitem__(self, key, value):
            self.items[key] = value

        def __len__(self):
            return len(self.items)

        def __iter__(self):
            return iter(self.items)

        def __contains__(self, x):
            return x in self.items

        def __repr__(self):
            if not self.items:
                return "array('" + self.typecode + "')"
            return "array('" + self.typecode + "', " + repr(self.items) + ')'
    return _mt_Module('array', {'array': array})


_mt_mod_array = _mt_make_array()
