# Classes with bases, method decorators and the operators that the interpreter does not ask a class for.
_mt_missing = type('_mt_missing', (), {})()


class _mt_Static:
    # A class attribute that is not bound to the instance.
    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


class _mt_ClassMethod:
    def __init__(self, function, owner):
        self.function = function
        self.owner = owner

    def __call__(self, *args, **kwargs):
        return self.function(self.owner, *args, **kwargs)


class _mt_EnumType:
    # What the name of an enumeration is bound to.
    def __init__(self, name, cls, members):
        self.__name__ = name
        self._mt_cls = cls
        self._mt_members = members
        self.__members__ = dict((m.name, m) for m in members)
        for member in members:
            setattr(self, member.name, member)

    def __call__(self, value):
        for member in self._mt_members:
            if member.value == value:
                return member
        raise ValueError(repr(value) + ' is not a valid ' + self.__name__)

    def __iter__(self):
        return iter([m for m in self._mt_members if m.name in self.__members__])

    def __getitem__(self, name):
        return self.__members__[name]

    def __contains__(self, value):
        for member in self._mt_members:
            if member is value or member.value == value:
                return True
        return False

    def __len__(self):
        return len(self._mt_members)

    def __repr__(self):
        return "<enum '" + self.__name__ + "'>"


class _mt_auto:
    pass


class _mt_Enum:
    _mt_kind = 'enum'

    def __str__(self):
        return type(self).__name__ + '.' + self.name

    def __repr__(self):
        return '<' + type(self).__name__ + '.' + self.name + ': ' + repr(self.value) + '>'


class _mt_IntEnum:
    _mt_kind = 'enum'

    def __str__(self):
        return str(self.value)

    def __repr__(self):
        return '<' + type(self).__name__ + '.' + self.name + ': ' + repr(self.value) + '>'

    def __int__(self):
        return self.value

    def __index__(self):
        return self.value

    def __hash__(self):
        return hash(self.value)

    def __eq__(self, other):
        return self.value == _mt_value(other)

    def __lt__(self, other):
        return self.value < _mt_value(other)

    def __le__(self, other):
        return self.value <= _mt_value(other)

    def __gt__(self, other):
        return self.value > _mt_value(other)

    def __ge__(self, other):
        return self.value >= _mt_value(other)

    def __add__(self, other):
        return self.value + _mt_value(other)

    def __radd__(self, other):
        return other + self.value

    def __sub__(self, other):
        return self.value - _mt_value(other)

    def __rsub__(self, other):
        return other - self.value

    def __mul__(self, other):
        return self.value * _mt_value(other)

    def __rmul__(self, other):
        return other * self.value

    def __or__(self, other):
        return self.value | _mt_value(other)

    def __and__(self, other):
        return self.value & _mt_value(other)


class _mt_StrEnum:
    _mt_kind = 'enum'

    def __str__(self):
        return self.value

    def __repr__(self):
        return '<' + type(self).__name__ + '.' + self.name + ': ' + repr(self.value) + '>'

    def __hash__(self):
        return hash(self.value)

    def __eq__(self, other):
        return self.value == _mt_value(other)

    def __add__(self, other):
        return self.value + _mt_value(other)


def _mt_value(x):
    return x.value if hasattr(type(x), '_mt_kind') else x


class _mt_NamedTuple:
    _mt_kind = 'namedtuple'


class _mt_TypedDict:
    _mt_kind = 'typeddict'


class _mt_ABC:
    pass


_mt_enum_bases = (_mt_Enum, _mt_IntEnum, _mt_StrEnum)


def _mt_mro(cls):
    # The classes that a lookup goes through, most special first.
    if cls is object or hasattr(cls, '_mt_mro'):
        return () if cls is object else cls._mt_mro
    return (cls,)


def _mt_linear(cls, bases):
    lists = [list(_mt_mro(base)) for base in bases] + [list(bases)]
    out = [cls]
    while True:
        lists = [chain for chain in lists if chain]
        if not lists:
            return tuple(out)
        found = _mt_missing
        for chain in lists:
            head = chain[0]
            free = True
            for other in lists:
                for later in other[1:]:
                    if later is head:
                        free = False
            if free:
                found = head
                break
        if found is _mt_missing:
            raise TypeError('Cannot create a consistent method resolution order (MRO) for bases '
                            + ', '.join(base.__name__ for base in bases))
        out.append(found)
        for chain in lists:
            if chain[0] is found:
                chain.pop(0)


def _mt_class(bases, own, abstract=()):
    # The decorator of a class statement that was written with bases: `own` are its members, in order; each
    # base is a class or a pair of a class and the names of its members.
    def decorate(cls):
        real = []
        names = {}
        carrier = None
        for base in bases:
            if type(base) is tuple:
                base, members = base
                for name in members:
                    names.setdefault(id(base), []).append(name)
            if type(base) is _mt_EnumType:
                base = base._mt_cls
            if base is object:
                continue
            if base is int and _mt_is_enum(bases):
                real = [_mt_IntEnum]
                continue
            if base is str and _mt_is_enum(bases):
                real = [_mt_StrEnum]
                continue
            if base is _mt_Enum and real and real[0] in (_mt_IntEnum, _mt_StrEnum):
                continue
            if _mt_is_builtin_exception(base):
                if carrier is None:
                    carrier = base
                base = _mt_BaseException
            elif type(base) == type(int) and base in (dict, list, str, int, float, tuple, set, bytes):
                raise NotImplementedError('a class cannot inherit from ' + base.__name__
                                          + ' here: keep a ' + base.__name__ + ' in an attribute instead')
            real.append(base)
        kind = None
        for base in real:
            kind = kind or getattr(base, '_mt_kind', None)
        cls._mt_own = own
        if kind is not None:
            cls._mt_kind = kind
        if kind == 'namedtuple':
            return _mt_namedtuple_class(cls, own)
        if kind == 'typeddict':
            return dict
        mro = _mt_linear(cls, tuple(real))
        seen = set(own)
        every = list(own)
        blank = set(abstract)
        for base in mro[1:]:
            for name in getattr(base, '_mt_abstract', ()):
                if name not in seen:
                    blank.add(name)
            for name in getattr(base, '_mt_own', None) or names.get(id(base)) or _mt_known_members(base):
                if name in seen:
                    continue
                seen.add(name)
                value = getattr(base, name, _mt_missing)
                if value is not _mt_missing:
                    every.append(name)
                    setattr(cls, name, value)
            if carrier is None:
                carrier = getattr(base, '_mt_exc', None)
        annotations = {}
        for base in reversed(mro[1:]):
            annotations.update(getattr(base, '__annotations__', None) or {})
        if annotations and hasattr(cls, '__annotations__'):
            for name in annotations:
                if name not in cls.__annotations__:
                    field = (getattr(base, '__dataclass_fields__', None) or {}).get(name)
                    if field is not None and not hasattr(cls, name) and hasattr(field, 'default_factory'):
                        factory = field.default_factory
                        if '_MISSING_TYPE' not in repr(factory):
                            import dataclasses
                            setattr(cls, name, dataclasses.field(default_factory=factory))
            annotations.update(cls.__annotations__)
            cls.__annotations__ = annotations
        cls._mt_mro = mro
        cls.__mro__ = mro + (object,)
        cls.__bases__ = tuple(real) or (object,)
        cls.__qualname__ = cls.__name__
        cls._mt_abstract = tuple(blank)
        if carrier is not None:
            cls._mt_exc = carrier
            if '__init__' in own:
                _mt_wrap_exception_init(cls, cls.__init__)
        if blank and not hasattr(cls, '_mt_exc'):
            _mt_forbid(cls, sorted(blank))
        elif '__init__' not in own and getattr(cls, '_mt_forbidden', False):
            _mt_allow(cls, mro)
        if '__eq__' in own and '__hash__' not in own:
            cls.__hash__ = None
        for name in every:
            if name.startswith('_mt_cm_'):
                setattr(cls, name[7:], _mt_ClassMethod(getattr(cls, name), cls))
        if kind == 'enum' and not _mt_is_enum_root(cls):
            return _mt_enum_class(cls, own)
        for base in mro[1:]:
            if hasattr(base, '__init_subclass__'):
                base.__init_subclass__(cls)
                break
        return cls
    return decorate


def _mt_known_members(base):
    return ('__init__', '__repr__', '__str__', '__eq__', '__hash__', '__lt__', '__le__', '__gt__', '__ge__',
            '__int__', '__index__', '__add__', '__radd__', '__sub__', '__rsub__', '__mul__', '__rmul__',
            '__or__', '__and__', '__iter__', '__next__', '__call__', '__getitem__', '__setitem__',
            '__contains__', '__enter__', '__exit__', 'with_traceback', 'add_note', '__cause__', '__context__')


def _mt_forbid(cls, names):
    def __init__(self, *args, **kwargs):
        plural = 's ' if len(names) > 1 else ' '
        raise TypeError("Can't instantiate abstract class " + cls.__name__ + ' without an implementation for '
                        + 'abstract method' + plural + ', '.join("'" + name + "'" for name in names))
    cls._mt_init = getattr(cls, '__init__', None)
    cls._mt_forbidden = True
    cls.__init__ = __init__


def _mt_allow(cls, mro):
    cls._mt_forbidden = False
    for base in mro[1:]:
        if getattr(base, '_mt_forbidden', False):
            if base._mt_init is not None:
                cls.__init__ = base._mt_init
                return
        elif hasattr(base, '__init__'):
            cls.__init__ = base.__init__
            return

    def __init__(self):
        pass
    cls.__init__ = __init__


def _mt_is_enum(bases):
    for base in bases:
        if type(base) is tuple:
            base = base[0]
        if base in _mt_enum_bases:
            return True
    return False


def _mt_is_enum_root(cls):
    return not [name for name in cls._mt_own if _mt_is_member(cls, name)]


def _mt_is_member(cls, name):
    if name.startswith('_'):
        return False
    value = getattr(cls, name)
    return not _mt_is_function(value) and type(value) not in (_mt_Static, _mt_ClassMethod)


def _mt_is_function(value):
    return repr(value).startswith('<function ')


def _mt_enum_class(cls, own):
    members = []
    by_name = {}
    last = 0
    text = False
    for base in cls._mt_mro:
        text = text or base is _mt_StrEnum
    init = cls.__init__ if '__init__' in own else None
    if init is not None:
        cls.__init__ = lambda self: None
    for name in own:
        if not _mt_is_member(cls, name):
            continue
        value = getattr(cls, name)
        if type(value) is _mt_auto:
            value = name.lower() if text else last + 1
        if type(value) is int:
            last = value
        alias = [m for m in members if m.value == value]
        if alias:
            by_name[name] = alias[0]
            continue
        member = cls()
        member.name = name
        member.value = value
        member._name_ = name
        member._value_ = value
        if init is not None:
            if type(value) is tuple:
                init(member, *value)
            else:
                init(member, value)
            if member._value_ != member.value:
                member.value = member._value_
        members.append(member)
        by_name[name] = member
    for name in by_name:
        setattr(cls, name, by_name[name])
    out = _mt_EnumType(cls.__name__, cls, members)
    for name in by_name:
        setattr(out, name, by_name[name])
    for name in own:
        if name not in by_name and not name.startswith('__'):
            setattr(out, name, getattr(cls, name))
    return out


def _mt_namedtuple_class(cls, own):
    import collections
    fields = list(cls.__annotations__)
    defaults = [getattr(cls, name) for name in fields if hasattr(cls, name)]
    extra = [name for name in own if name not in fields and not name.startswith('_')]
    if extra:
        raise NotImplementedError('a NamedTuple class cannot have methods here: use @dataclass or a plain function '
                                  'instead of ' + extra[0])
    return collections.namedtuple(cls.__name__, fields, defaults=defaults)


def _mt_super(cls, instance, name):
    if type(cls) is _mt_EnumType:
        cls = cls._mt_cls
    owner = instance if type(instance) == type(int) else type(instance)
    passed = False
    for base in _mt_mro(owner):
        if base is cls:
            passed = True
            continue
        if not passed:
            continue
        names = getattr(base, '_mt_own', None) or _mt_known_members(base)
        if name in names and hasattr(base, name):
            function = getattr(base, name)
            if name == '__init__' and getattr(base, '_mt_forbidden', False):
                if base._mt_init is None:
                    return lambda *args, **kwargs: None
                function = base._mt_init
            return lambda *args, **kwargs: function(instance, *args, **kwargs)
        if '_mt_cm_' + name in names:
            raw = getattr(base, '_mt_cm_' + name)
            return lambda *args, **kwargs: raw(owner, *args, **kwargs)
        if '_mt_get_' + name in names:
            return getattr(base, '_mt_get_' + name)(instance)
        if name in names:
            return getattr(base, name)
        if getattr(base, '_mt_own', None) is None and hasattr(base, name):
            function = getattr(base, name)
            return lambda *args, **kwargs: function(instance, *args, **kwargs)
    if name in ('__init__', '__init_subclass__', '__post_init__'):
        return lambda *args, **kwargs: None
    if name == '__setattr__':
        return lambda key, value: object.__setattr__(instance, key, value)
    if name == '__repr__' or name == '__str__':
        return lambda: '<' + owner.__name__ + ' object>'
    if name == '__eq__':
        return lambda other: instance is other
    raise AttributeError("'super' object has no attribute '" + name + "'")


def _mt_get(obj, name):
    # Reads an attribute that is a property of some class.
    getter = '_mt_get_' + name
    if hasattr(obj, getter):
        function = getattr(obj, getter)
        if type(obj) != type(int) and type(obj) is not _mt_EnumType:
            return function()
    return getattr(obj, name)


def _mt_set(obj, name, value):
    setter = '_mt_set_' + name
    if hasattr(obj, setter):
        getattr(obj, setter)(value)
    elif hasattr(obj, '_mt_get_' + name):
        raise AttributeError("property '" + name + "' of '" + type(obj).__name__ + "' object has no setter")
    else:
        setattr(obj, name, value)


def _mt_cached(obj, name, function):
    key = '_mt_cache_' + name
    if not hasattr(obj, key):
        setattr(obj, key, function(obj))
    return getattr(obj, key)


def _mt_cached_property(name, function):
    def get(self):
        return _mt_cached(self, name, function)
    return get


def _mt_hasattr(obj, name):
    if hasattr(obj, '_mt_get_' + name):
        try:
            _mt_get(obj, name)
        except AttributeError:
            return False
        return True
    return hasattr(obj, name)


def _mt_getattr(obj, name, *default):
    if hasattr(obj, '_mt_get_' + name):
        return _mt_get(obj, name)
    return getattr(obj, name, *default)


def _mt_setattr(obj, name, value):
    _mt_set(obj, name, value)


def _mt_is_builtin_exception(x):
    return type(x) == type(int) and repr(x).startswith('<class') and not hasattr(x, '_mt_mro') and _mt_is_exc(x)


def _mt_is_exc(x):
    try:
        return isinstance(x(), BaseException)
    except BaseException:
        return False


def _mt_isinstance(obj, types):
    if type(types) is tuple:
        for one in types:
            if _mt_isinstance(obj, one):
                return True
        return False
    if type(types) is _mt_EnumType:
        types = types._mt_cls
    cls = type(obj)
    if hasattr(cls, '_mt_mro'):
        for base in cls._mt_mro:
            if base is types:
                return True
        if types is object:
            return True
        if hasattr(cls, '_mt_exc'):
            if hasattr(types, '_mt_mro') or types is _mt_BaseException:
                return False
            return isinstance(cls._mt_exc(), types)
        if hasattr(cls, '_mt_kind') and cls._mt_kind == 'enum':
            return type(obj.value) is types
        if type(types) == type(int) and types in (str, int, float, list, dict, tuple, set, bool, bytes):
            return False
    if types is object:
        return True
    return isinstance(obj, types)


def _mt_issubclass(cls, types):
    if type(types) is tuple:
        for one in types:
            if _mt_issubclass(cls, one):
                return True
        return False
    if cls is types or types is object:
        return True
    if type(cls) is _mt_EnumType:
        cls = cls._mt_cls
    if hasattr(cls, '_mt_mro'):
        for base in cls._mt_mro:
            if base is types:
                return True
        if hasattr(cls, '_mt_exc') and not hasattr(types, '_mt_mro'):
            return isinstance(cls._mt_exc(), types)
        return False
    if cls is bool and types is int:
        return True
    if hasattr(types, '_mt_mro'):
        return False
    if _mt_is_exc(cls):
        return isinstance(cls(), types)
    return False


class _mt_BaseException:
    args = ()
    __cause__ = None
    __context__ = None

    def __init__(self, *args):
        self.args = args

    def __str__(self):
        if len(self.args) == 0:
            return ''
        if len(self.args) == 1:
            return str(self.args[0])
        return str(self.args)

    def __repr__(self):
        return type(self).__name__ + '(' + ', '.join(repr(arg) for arg in self.args) + ')'

    def with_traceback(self, traceback):
        return self

    def add_note(self, note):
        self.__notes__ = getattr(self, '__notes__', []) + [note]


def _mt_wrap_exception_init(cls, own):
    def __init__(self, *args, **kwargs):
        self.args = args
        own(self, *args, **kwargs)
    cls.__init__ = __init__


# Exceptions of the program's own classes travel in one of a builtin class, whose text ends with a mark.
_mt_raised = {}
_mt_count = [0]


def _mt_raise(x):
    if type(x) == type(int) and hasattr(x, '_mt_exc'):
        x = x()
    if not hasattr(x, '_mt_exc'):
        return x
    _mt_count[0] += 1
    if len(_mt_raised) > 200:
        for key in list(_mt_raised)[:100]:
            _mt_raised.pop(key)
    key = _mt_count[0]
    _mt_raised[key] = x
    return x._mt_exc(str(x) + '\u2063' + type(x).__name__ + '\u2063' + str(key))


def _mt_caught(e):
    text = e.args[0] if e.args else ''
    if type(text) is str and '\u2063' in text:
        key = text.split('\u2063')[-1]
        if key.isdigit():
            return _mt_raised.get(int(key), e)
    return e


def _mt_current():
    try:
        raise
    except BaseException as e:
        return e


def _mt_match(types):
    carrier = _mt_current()
    e = _mt_caught(carrier)
    if type(types) is not tuple:
        types = (types,)
    flat = []
    for one in types:
        if type(one) is tuple:
            flat.extend(one)
        else:
            flat.append(one)
    if e is not carrier:
        for one in flat:
            if _mt_isinstance(e, one):
                return type(e)._mt_exc
        return ()
    return tuple(one for one in flat if not hasattr(one, '_mt_exc'))


# Operators that the interpreter does not ask a class for.
def _mt_len(x):
    if hasattr(type(x), '__len__'):
        return x.__len__()
    return len(x)


def _mt_true(x):
    cls = type(x)
    if hasattr(cls, '__bool__'):
        return x.__bool__()
    if hasattr(cls, '__len__'):
        return x.__len__() != 0
    return True if x else False


def _mt_compare(a, b, name, swapped):
    method = getattr(a, name, None)
    if method is not None:
        result = method(b)
        if result is not NotImplemented:
            return result
    method = getattr(b, swapped, None)
    if method is not None:
        result = method(a)
        if result is not NotImplemented:
            return result
    return _mt_missing


def _mt_lt(a, b):
    try:
        return a < b
    except TypeError:
        pass
    result = _mt_compare(a, b, '__lt__', '__gt__')
    if result is _mt_missing and type(a) == type(int)(b) and type(a) in (tuple, list):
        for i in range(min(len(a), len(b))):
            if not a[i] == b[i]:
                return _mt_lt(a[i], b[i])
        return len(a) < len(b)
    return a < b if result is _mt_missing else result


def _mt_gt(a, b):
    try:
        return a > b
    except TypeError:
        pass
    result = _mt_compare(a, b, '__gt__', '__lt__')
    if result is _mt_missing and type(a) == type(int)(b) and type(a) in (tuple, list):
        return _mt_lt(b, a)
    return a > b if result is _mt_missing else result


def _mt_le(a, b):
    try:
        return a <= b
    except TypeError:
        pass
    result = _mt_compare(a, b, '__le__', '__ge__')
    return a <= b if result is _mt_missing else result


def _mt_ge(a, b):
    try:
        return a >= b
    except TypeError:
        pass
    result = _mt_compare(a, b, '__ge__', '__le__')
    return a >= b if result is _mt_missing else result


def _mt_inplace(a, b, name):
    # `None` if the class of `a` has no such operator, else a tuple of the result.
    if hasattr(type(a), name):
        result = getattr(a, name)(b)
        if result is not NotImplemented:
            return (result,)
    return None


def _mt_iadd(a, b):
    own = _mt_inplace(a, b, '__iadd__')
    if own:
        return own[0]
    a += b
    return a


def _mt_isub(a, b):
    own = _mt_inplace(a, b, '__isub__')
    if own:
        return own[0]
    a -= b
    return a


def _mt_imul(a, b):
    own = _mt_inplace(a, b, '__imul__')
    if own:
        return own[0]
    a *= b
    return a


def _mt_itruediv(a, b):
    own = _mt_inplace(a, b, '__itruediv__')
    if own:
        return own[0]
    a /= b
    return a


def _mt_ior(a, b):
    own = _mt_inplace(a, b, '__ior__')
    if own:
        return own[0]
    a |= b
    return a


def _mt_iand(a, b):
    own = _mt_inplace(a, b, '__iand__')
    if own:
        return own[0]
    a &= b
    return a


def _mt_total_ordering(cls):
    if hasattr(cls, '__lt__'):
        lt = cls.__lt__
        if not hasattr(cls, '__gt__'):
            cls.__gt__ = lambda self, other: not lt(self, other) and not self == other
        if not hasattr(cls, '__le__'):
            cls.__le__ = lambda self, other: lt(self, other) or self == other
        if not hasattr(cls, '__ge__'):
            cls.__ge__ = lambda self, other: not lt(self, other)
    elif hasattr(cls, '__gt__'):
        gt = cls.__gt__
        cls.__lt__ = lambda self, other: not gt(self, other) and not self == other
        cls.__le__ = lambda self, other: not gt(self, other)
        cls.__ge__ = lambda self, other: gt(self, other) or self == other
    elif hasattr(cls, '__le__'):
        le = cls.__le__
        cls.__lt__ = lambda self, other: le(self, other) and not self == other
        cls.__gt__ = lambda self, other: not le(self, other)
        cls.__ge__ = lambda self, other: not le(self, other) or self == other
    elif hasattr(cls, '__ge__'):
        ge = cls.__ge__
        cls.__lt__ = lambda self, other: not ge(self, other)
        cls.__gt__ = lambda self, other: ge(self, other) and not self == other
        cls.__le__ = lambda self, other: not ge(self, other) or self == other
    else:
        raise ValueError('must define at least one ordering operation: < > <= >=')
    return cls


def _mt_type(name, bases, namespace):
    if not bases:
        return type(name, (), namespace)
    return _mt_class(bases, tuple(namespace))(type(name, (), namespace))


def _mt_ordered(cls):
    # `@dataclass(order=True)`
    def key(x):
        return [getattr(x, name) for name in x.__dataclass_fields__]
    cls.__lt__ = lambda self, other: key(self) < key(other) if type(other) == cls else NotImplemented
    cls.__le__ = lambda self, other: key(self) <= key(other) if type(other) == cls else NotImplemented
    cls.__gt__ = lambda self, other: key(self) > key(other) if type(other) == cls else NotImplemented
    cls.__ge__ = lambda self, other: key(self) >= key(other) if type(other) == cls else NotImplemented
    return cls
