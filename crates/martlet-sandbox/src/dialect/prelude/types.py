def _mt_make_types():
    class SimpleNamespace:
        def __init__(self, **members):
            self._mt_names = list(members)
            for name in members:
                setattr(self, name, members[name])

        def __repr__(self):
            return 'namespace(' + ', '.join([n + '=' + repr(getattr(self, n)) for n in self._mt_names]) + ')'

        def __eq__(self, other):
            return repr(self) == repr(other)
    return _mt_Module('types', {'SimpleNamespace': SimpleNamespace, 'FunctionType': type(lambda: None),
                                'LambdaType': type(lambda: None), 'NoneType': type(None),
                                'BuiltinFunctionType': type(len), 'MappingProxyType': dict})


_mt_mod_types = _mt_make_types()
