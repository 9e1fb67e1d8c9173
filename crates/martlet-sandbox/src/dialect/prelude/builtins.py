# Builtins and methods of builtin types that the interpreter lacks.
def _mt_callable(x):
    if hasattr(type(x), '__call__'):
        return True
    text = repr(x)
    for start in ('<function ', '<built-in ', '<class ', '<bound method', '<enum ', 'functools.partial',
                  '<functools._lru_cache'):
        if text.startswith(start):
            return True
    return False


def _mt_ascii(x):
    out = ''
    for c in repr(x):
        n = ord(c)
        if n < 128:
            out += c
        elif n < 256:
            out += '\\x' + format(n, '02x')
        elif n < 65536:
            out += '\\u' + format(n, '04x')
        else:
            out += '\\U' + format(n, '08x')
    return out


def _mt_del(x, key):
    if type(x) is dict:
        x.pop(key)
    elif type(x) is list:
        if type(key) is slice:
            if key.step is None or key.step == 1:
                x[key] = []
            else:
                gone = set(range(len(x))[key])
                x[:] = [x[i] for i in range(len(x)) if i not in gone]
        else:
            try:
                x.pop(key)
            except IndexError:
                raise IndexError('list assignment index out of range')
    elif hasattr(type(x), '__delitem__'):
        x.__delitem__(key)
    elif type(x).__name__ == 'deque':
        if not -len(x) <= key < len(x):
            raise IndexError('deque index out of range')
        x.rotate(-key)
        x.popleft()
        x.rotate(key)
    elif type(x) in (str, tuple, set, frozenset, int, float, bool, bytes, type(None), range):
        raise TypeError("'" + type(x).__name__ + "' object doesn't support item deletion")
    else:
        x.pop(key)


def _mt_delattr(x, name):
    if hasattr(x, '_mt_del_' + name):
        getattr(x, '_mt_del_' + name)()
        return
    if not hasattr(x, name):
        raise AttributeError("'" + type(x).__name__ + "' object has no attribute '" + name + "'")
    raise NotImplementedError('attributes cannot be deleted here: set it to None instead')


def _mt_vars(x, names):
    if hasattr(x, '_mt_members'):
        return x.__members__
    out = {}
    cls = type(x)
    own = cls == type(int)
    for name in names:
        if not hasattr(x, name):
            continue
        value = getattr(x, name)
        if not own and hasattr(cls, name) and getattr(cls, name) is value:
            continue
        if name.startswith('__') and not name.endswith('__'):
            name = '_' + cls.__name__.lstrip('_') + name
        out[name] = value
    return out


def _mt_dir(x, names):
    return sorted(_mt_vars(x, names))


_mt_function_names = {}


def _mt_name(x):
    text = repr(x)
    if text.startswith("<function '"):
        if x in _mt_function_names:
            return _mt_function_names[x]
        return text.split("'")[1]
    if text.startswith('<built-in function '):
        return text[19:-1]
    if text.startswith("<class '"):
        return text[8:-2].split('.')[-1]
    return x.__name__


def _mt_print(*args, sep=' ', end='\n', file=None, flush=False):
    if file is None:
        print(*args, sep=sep, end=end)
    elif hasattr(file, '_mt_text'):
        file.write((' ' if sep is None else sep).join([str(x) for x in args]) + ('\n' if end is None else end))
    else:
        print(*args, sep=sep, end=end, file=file)


def _mt_maketrans(x, y=None, z=None):
    out = {}
    if y is None:
        for key in x:
            out[ord(key) if type(key) is str else key] = x[key]
        return out
    if len(x) != len(y):
        raise ValueError('the first two maketrans arguments must have equal length')
    for i in range(len(x)):
        out[ord(x[i])] = ord(y[i])
    for c in z or '':
        out[ord(c)] = None
    return out


def _mt_translate(x, table):
    if type(x) is not str:
        return x.translate(table)
    out = ''
    for c in x:
        n = ord(c)
        if n not in table:
            out += c
        elif table[n] is not None:
            out += table[n] if type(table[n]) is str else chr(table[n])
    return out


def _mt_from_bytes(data, byteorder='big', *, signed=False):
    out = 0
    for byte in (data if byteorder == 'big' else list(data)[::-1]):
        out = out * 256 + byte
    if signed and data and out >= 1 << (8 * len(data) - 1):
        out -= 1 << (8 * len(data))
    return out


def _mt_isocalendar(x):
    import datetime
    import collections
    day = datetime.date(x.year, x.month, x.day)
    weekday = day.isoweekday()
    thursday = day + datetime.timedelta(days=4 - weekday)
    first = datetime.date(thursday.year, 1, 1)
    kind = collections.namedtuple('IsoCalendarDate', ['year', 'week', 'weekday'])
    return kind(thursday.year, (thursday - first).days // 7 + 1, weekday)


def _mt_toordinal(x):
    import datetime
    return (datetime.date(x.year, x.month, x.day) - datetime.date(1, 1, 1)).days + 1


def _mt_fromordinal(cls, n):
    import datetime
    return cls(1, 1, 1) + datetime.timedelta(days=n - 1)


def _mt_fromisocalendar(cls, year, week, day):
    import datetime
    fourth = datetime.date(year, 1, 4)
    found = fourth + datetime.timedelta(days=(week - 1) * 7 + day - fourth.isoweekday())
    return cls(found.year, found.month, found.day)


def _mt_fromtimestamp(cls, stamp, tz=None):
    import datetime
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=stamp)
    if cls is datetime.date:
        return datetime.date(moment.year, moment.month, moment.day)
    return moment.replace(tzinfo=None) if tz is None else moment.astimezone(tz)


def _mt_utcfromtimestamp(cls, stamp):
    return _mt_fromtimestamp(cls, stamp)


def _mt_utcnow(cls):
    import datetime
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


def _mt_ctime(x, *args):
    if type(x).__name__ not in ('date', 'datetime') or args:
        return x.ctime(*args)
    return x.strftime('%a %b ') + format(x.day, '2d') + x.strftime(' %H:%M:%S %Y' if hasattr(x, 'hour')
                                                                   else ' 00:00:00 %Y')


def _mt_timetuple(x):
    import collections
    import datetime
    kind = collections.namedtuple('struct_time', ['tm_year', 'tm_mon', 'tm_mday', 'tm_hour', 'tm_min', 'tm_sec',
                                                  'tm_wday', 'tm_yday', 'tm_isdst'])
    day = datetime.date(x.year, x.month, x.day)
    clock = (x.hour, x.minute, x.second) if hasattr(x, 'hour') else (0, 0, 0)
    return kind(x.year, x.month, x.day, clock[0], clock[1], clock[2], day.weekday(),
                (day - datetime.date(x.year, 1, 1)).days + 1, -1)


def _mt_utctimetuple(x):
    return _mt_timetuple(x)


def _mt_is_integer(x):
    if type(x) is float:
        return x - x == 0 and x == int(x)
    if type(x) is int:
        return True
    return x.is_integer()


def _mt_as_integer_ratio(x):
    if type(x) is int:
        return (x, 1)
    if type(x) is not float:
        return x.as_integer_ratio()
    bottom = 1
    while x != int(x):
        x *= 2
        bottom *= 2
    return (int(x), bottom)


def _mt_bit_length(x):
    return len(bin(abs(x))) - 2 if x else 0


def _mt_bit_count(x):
    return bin(x).count('1')


def _mt_conjugate(x):
    return x if type(x) in (int, float) else complex(x.real, -x.imag)


def _mt_tobytes(x):
    return x if type(x) is bytes else x.tobytes()


def _mt_format_map(text, mapping):
    return text.format(**mapping)


def _mt_expandtabs(text, size=8):
    out = ''
    column = 0
    for c in text:
        if c == '\t':
            width = size - column % size if size else 0
            out += ' ' * width
            column += width
        else:
            out += c
            column = 0 if c == '\n' else column + 1
    return out


def _mt_isprintable(text):
    return repr(text)[1:-1].replace("\\'", "'").replace('\\\\', '\\') == text


def _mt_isidentifier(text):
    if not text or text[0].isdigit():
        return False
    return all([c == '_' or c.isalnum() for c in text])


def _mt_isdecimal(text):
    return text.isdigit()


def _mt_object():
    # A marker: nothing else is equal to it.
    return type('object', (), {})()


def _mt_bytes(*args):
    # The interpreter's bytes() does not take integers in a list.
    if len(args) == 1 and type(args[0]) not in (str, bytes, int):
        numbers = list(args[0])
        for n in numbers:
            if type(n) is not int:
                raise TypeError("'" + type(n).__name__ + "' object cannot be interpreted as an integer")
            if not 0 <= n < 256:
                raise ValueError('bytes must be in range(0, 256)')
        return bytes.fromhex(''.join([format(n, '02x') for n in numbers]))
    return bytes(*args)
