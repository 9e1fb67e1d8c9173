def _mt_make_abc():
    def abstractmethod(function):
        return function
    return _mt_Module('abc', {'abstractmethod': abstractmethod, 'ABC': None, 'ABCMeta': None})


_mt_mod_abc = _mt_make_abc()
