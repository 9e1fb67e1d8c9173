def _mt_make_typing():
    class Form:
        def __init__(self, name, args=()):
            self._mt_form = name
            self.__args__ = args

        def __getitem__(self, args):
            return Form(self._mt_form, args if type(args) is tuple else (args,))

        def __or__(self, other):
            return Form('Union', (self, other))

        def __ror__(self, other):
            return Form('Union', (other, self))

        def __call__(self, *args, **kwargs):
            return args[0] if args else None

        def __repr__(self):
            if not self.__args__:
                return 'typing.' + self._mt_form
            return 'typing.' + self._mt_form + '[' + ', '.join([show(arg) for arg in self.__args__]) + ']'

        def __eq__(self, other):
            return repr(self) == repr(other)

        def __hash__(self):
            return hash(repr(self))

    def show(arg):
        if arg is ...:
            return '...'
        return arg.__name__ if type(arg) == type(int) and hasattr(arg, '__name__') else repr(arg)

    def cast(kind, value):
        return value

    def overload(function):
        return function

    def NewType(name, kind):
        return lambda value: value

    def TypeVar(name, *bounds, **options):
        return Form(name)

    def NamedTuple(name, fields):
        import collections
        return collections.namedtuple(name, [field[0] for field in fields])

    def TypedDict(name, fields, total=True):
        return dict

    def get_type_hints(x):
        return getattr(x, '__annotations__', {})

    def get_origin(x):
        return None

    def get_args(x):
        return x.__args__ if hasattr(x, '_mt_form') else ()
    out = {}
    for name in ('Any', 'List', 'Dict', 'Optional', 'Union', 'Callable', 'Tuple', 'Set', 'FrozenSet', 'Iterable',
                 'Iterator', 'Generator', 'Generic', 'Protocol', 'Literal', 'Sequence', 'MutableSequence', 'Mapping',
                 'MutableMapping', 'Type', 'Final', 'ClassVar', 'Self', 'Annotated', 'Deque', 'DefaultDict',
                 'Counter', 'OrderedDict', 'Hashable', 'Sized', 'Awaitable', 'Coroutine', 'AsyncIterator',
                 'AsyncGenerator', 'NoReturn', 'Never', 'Text', 'AnyStr', 'Required', 'NotRequired', 'ParamSpec',
                 'Concatenate', 'TypeAlias', 'TypeGuard', 'Collection', 'Container', 'SupportsFloat', 'SupportsInt',
                 'IO', 'TextIO', 'Pattern', 'Match', 'LiteralString', 'Unpack', 'Reversible', 'ContextManager'):
        out[name] = Form(name)
    out.update({'cast': cast, 'overload': overload, 'final': overload, 'override': overload,
                'runtime_checkable': overload, 'no_type_check': overload, 'NewType': NewType, 'TypeVar': TypeVar,
                'NamedTuple': NamedTuple, 'TypedDict': TypedDict, 'get_type_hints': get_type_hints,
                'get_origin': get_origin, 'get_args': get_args, 'TYPE_CHECKING': False, 'dataclass_transform': cast})
    return _mt_Module('typing', out)


_mt_mod_typing = _mt_make_typing()
